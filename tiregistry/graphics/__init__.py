"""Pictures in the terminal; Pillow only, no terminal library."""
