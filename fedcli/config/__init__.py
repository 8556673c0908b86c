"""The typed config: what its keys mean, which choices there are, and how it is checked."""
