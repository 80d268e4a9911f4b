"""How much a foreign file may ask for: a learned word is kilobytes, so everything beyond these numbers is refused."""

from __future__ import annotations

MAX_FILE = 64 * 2**20
"""Largest file read whole, in bytes. Larger ones are read only as safetensors, header first (words inside LoRAs)."""
MAX_HEADER = 4 * 2**20
"""Largest safetensors header: a thumbnail as data URL and a LoRA's training statistics must still fit."""
MAX_TENSORS = 8192
"""Most tensors named in one file; a LoRA that carries a word has a few thousand."""
MAX_EMBEDDINGS = 256
"""Most learned words taken from one file."""
MAX_VECTORS = 512
"""Most vectors of one word; more than 75 no longer fit CLIP's window and bring a warning."""
MAX_VALUES = 16 * 2**20
"""Most values taken from one file in all its words together; views into one storage can multiply a small file."""
WINDOW_VECTORS = 75
"""Vectors that fit CLIP's token window beside its two marks."""
MIN_DIM, MAX_DIM = 8, 8192
"""Widths a token embedding may have: nothing else is refused for its width."""
MAX_MEMBERS = 4096
"""Most members of a zip archive."""
MAX_UNPACKED = 128 * 2**20
"""Most bytes that the members of one zip archive may unpack to, together."""
MAX_OPCODES = 250_000
"""Most pickle instructions in one file."""
MAX_MEMO = 100_000
"""Most remembered values of one pickle."""
MAX_DEPTH = 32
"""Deepest nesting of a pickle's values."""
MAX_PICKLE = 32 * 2**20
"""Largest pickle stream, without the tensors beside it."""
MAX_TEXT_CHUNK = 8 * 2**20
"""Largest text chunk of a picture, largest JSON text unpacked from it, and largest block of hidden pixels' values."""
MAX_PICTURE_PIXELS = 8_000_000
"""Largest picture whose pixels are searched for an embedding."""
