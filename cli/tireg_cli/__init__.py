"""The `tireg` command: thin commands over the tiregistry core."""
