"""Settings, keys and themes as the running app follows them, and how it was left the last time."""
