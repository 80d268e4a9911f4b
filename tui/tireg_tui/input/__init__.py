"""What is typed, pasted or picked: keys, paths, prompts, forms and notes, before anything is done with it."""
