"""The world: small captioned pictures of things in contexts and media, drawn deterministically from a seed."""
