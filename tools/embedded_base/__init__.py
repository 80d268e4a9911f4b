"""Renders a small captioned world and trains the embedded base model on it, from scratch and reproducibly."""
