"""Rounds of softmax regression, as the tests of algorithms play them."""

from tests.algorithms.conftest import compiled, play

__all__ = ["compiled", "play"]
