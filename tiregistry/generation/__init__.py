"""From prompts that name words to pictures that can be made again."""
