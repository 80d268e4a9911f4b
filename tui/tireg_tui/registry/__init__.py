"""The open registry of the app: opened and watched by a thread, followed, changed in threads."""
