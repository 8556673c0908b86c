"""Texts of unknown origin as cells of a CSV file that people open in a spreadsheet or print in a terminal."""

from __future__ import annotations

from fedcli.shell import printable

#: A spreadsheet takes a cell that begins so for a formula, and runs it.
_FORMULA = ("=", "+", "-", "@")


def safe_cell(text: str) -> str:
    """Returns a text that no spreadsheet computes and no terminal obeys.

    What cannot be printed becomes an escape, but for line ends; what a spreadsheet would take for a formula gets an
    apostrophe before it, by which spreadsheets mark a text (OWASP, "CSV Injection",
    https://owasp.org/www-community/attacks/CSV_Injection).
    Numbers stay as they are.
    """
    shown = printable(text, keeping="\n")
    return f"'{shown}" if shown.lstrip().startswith(_FORMULA) and not _is_number(shown) else shown


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
