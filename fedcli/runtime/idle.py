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


class OnePerThread(Generic[T]):
    """Things of a kind of which each thread that asks has one, until they are given back.

    Args:
        idle: Where they are taken from and given back to.
        kind: Their kind.
        make: Makes one.
    """

    def __init__(self, idle: Idle[T], kind: object, make: Callable[[], T]) -> None:
        self._idle = idle
        self._kind = kind
        self._make = make
        self._of_thread = threading.local()
        self._taken: list[T] = []

    def get(self) -> T:
        """Returns the thing of this thread."""
        if not hasattr(self._of_thread, "thing"):
            self._of_thread.thing = self._idle.take(self._kind, self._make)
            self._taken.append(self._of_thread.thing)
        thing: T = self._of_thread.thing
        return thing

    def give_back(self) -> None:
        """Gives them all back; no thread uses them any more."""
        self._idle.give_back(self._kind, self._taken)
        self._of_thread, self._taken = threading.local(), []
