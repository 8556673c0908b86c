"""Writes values so that Hydra reads them as they are."""


def quoted(value: str) -> str:
    """Quotes a value for Hydra, in which commas and brackets have a meaning."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
