"""The ids of a large population in little memory."""

from __future__ import annotations

import operator
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import overload


class ClientIds(Sequence[str]):
    """Ids in one piece of memory: as UTF-8, one after the other, and where each ends.

    An id takes its length and 8 bytes, where a `str` in a list takes 57 bytes and its length. It becomes a `str` when
    it is asked for, so what samples 10 of a million holds 10.

    Args:
        ids: The ids, sorted; each once. Read one by one.
    """

    def __init__(self, ids: Iterable[str]) -> None:
        text = bytearray()
        self._ends = array("q", [0])  # with the beginning of the first, so that ends are beginnings too
        for client in ids:
            text += client.encode()
            self._ends.append(len(text))
        self._text = bytes(text)

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        place = operator.index(index)
        if place < 0:
            place += len(self)
        if not 0 <= place < len(self):
            raise IndexError(f"{index} of {len(self)} clients")
        return self._text[self._ends[place] : self._ends[place + 1]].decode()

    def __iter__(self) -> Iterator[str]:
        begin = 0
        for end in islice(self._ends, 1, None):
            yield self._text[begin:end].decode()
            begin = end

    def __contains__(self, client: object) -> bool:
        if not isinstance(client, str):
            return False
        place = bisect_left(self, client)
        return place < len(self) and self[place] == client

    def __eq__(self, other: object) -> bool:
        if isinstance(other, ClientIds):
            return self._text == other._text and self._ends == other._ends
        return isinstance(other, list) and list(self) == other

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"ClientIds({self[:3]}, {len(self)} in all)"
