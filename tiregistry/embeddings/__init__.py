"""Learned vectors and the files they travel in."""
