"""Text data: the characters that models know."""
