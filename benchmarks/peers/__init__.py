"""Frameworks that a user would pick instead, each one file that runs in an environment of its own."""
