"""Config keys: how they are read, checked, found and shown; nothing of what a run needs."""
