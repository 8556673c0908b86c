"""Reads a folder of texts, line by line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fedcli.datasets.importing.folders import (
    CLIENT,
    TEXT_LAYOUT,
    TEXT_SUFFIXES,
    Layout,
    PlacedFile,
    files_below,
    placed_files,
)
from fedcli.datasets.importing.rows import BadRow, Row
from fedcli.errors import UsageError

#: A line without an end is cut: characters of a piece.
_LONGEST_PIECE = 2**16


class TextFolder:
    """Texts in folders, UTF-8. Each line is a row; a client's lines are in the order of its files' paths.

    Args:
        folder: The folder.
        layout: What the parts of a path mean.

    Raises:
        UsageError: There are no texts, or the layout makes no sense.
    """

    kind = "text"
    unit = "lines and files"
    x_shape: tuple[int, ...] = ()

    def __init__(self, folder: Path, layout: str = TEXT_LAYOUT) -> None:
        self._folder = folder
        self._layout = Layout(layout, (CLIENT,))
        if not any(file.suffix.lower() in TEXT_SUFFIXES for file in files_below(folder, self._layout.depth)):
            raise UsageError(f"{folder}: no texts there", f"a folder of texts has {layout} with .txt")
        self.columns: list[str] = []
        self.client_from: str | None = f"CLIENT in {layout}"
        self.split_from = f"SPLIT in {layout}" if self._layout.has_split else None
        self.notes: list[str] = []

    def rows(self, contents: bool) -> Iterator[Row | BadRow]:
        """Reads the lines; see the protocol. Files that begin with a dot are left out."""
        for found in placed_files(self._folder, self._layout, "a text", TEXT_SUFFIXES):
            if isinstance(found, BadRow):
                yield found
            else:
                yield from _lines(found)


def _lines(found: PlacedFile) -> Iterator[Row | BadRow]:
    number = 1
    try:
        with found.file.open(encoding="utf-8-sig", errors="surrogateescape") as lines:
            while piece := lines.readline(_LONGEST_PIECE):
                try:
                    yield Row(found.client, found.split, None, piece.encode())
                except UnicodeEncodeError:
                    yield BadRow(f"{found.shown} line {number}", "not UTF-8")
                number += piece.endswith("\n")
    except OSError as error:
        yield BadRow(found.shown, error.strerror or str(error))
