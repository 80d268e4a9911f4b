"""How good a word is, where it lies in the embedding space, and words made from words."""
