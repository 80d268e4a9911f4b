"""The files that embeddings come in, read byte by byte with limits: no torch, and no pickle is ever executed."""
