"""What goes between Textual and the terminal: keys that come in, frames that go out, the shell's job control."""
