"""From `tireg` to the first words on the screen, before Textual is imported and while it starts."""
