"""Learned words between files and the registry: import with everything a file says, export with provenance."""
