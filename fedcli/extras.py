"""What is installed only where it is asked for."""


def how_to_install(extra: str) -> str:
    """Says how to get one of fedcli's extras, for the second line of an error."""
    return f"uv sync --extra {extra} (in a checkout), or pip install 'fedcli[{extra}]'"
