"""The registry: SQLite for what is said about words, content-addressed files for what they are made of."""
