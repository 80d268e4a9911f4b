"""Base models: which family a folder or file belongs to, and the fingerprints that identify it."""
