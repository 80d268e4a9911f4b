"""Push, pull and search: words shared through the Hugging Face Hub, in the layout that everyone reads."""
