"""What is dear to make and not in use, for whoever needs its like next: from job to job of a sweep."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class Idle(Generic[T]):
    """Keeps things until somebody takes them. Safe to use from several threads at once.

    Args:
        kinds: How many kinds of things are kept at most: those that were given back last.
    """

    def __init__(self, kinds: int) -> None:
        self._most = kinds
        # Kinds are compared, not hashed: a compiled round has no hash.
        self._kept: list[tuple[object, list[T]]] = []
        self._lock = threading.Lock()

    def take(self, kind: object, make: Callable[[], T]) -> T:
        """Returns a thing of a kind, made anew if none is kept.

        Args:
            kind: What `make` makes; what is equal makes the same.
            make: Makes one.
        """
        with self._lock:
            things = self._of(kind)
            if things:
                return things.pop()
        return make()

    def give_back(self, kind: object, things: Iterable[T]) -> None:
        """Keeps things that nobody uses any more."""
        with self._lock:
            known = self._of(kind)
            self._kept = [entry for entry in self._kept if entry[1] is not known]
            self._kept.append((kind, [*known, *things]))
            del self._kept[: -self._most]

    def _of(self, kind: object) -> list[T]:
        return next((things for known, things in self._kept if known == kind), [])
