"""Which choices nothing else beats in both cost and quality."""

from __future__ import annotations

from collections.abc import Sequence


def pareto_front(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Marks the points that no other dominates: none costs at most as much, is at least as good, and differs.

    Args:
        points: (cost, quality) each; less cost and more quality are better. For a loss, give its negative.

    Returns:
        For each point, whether it is on the front. Equal points are on it together.
    """
    best_cheaper = float("-inf")
    front: set[tuple[float, float]] = set()
    # By cost, the best of equal cost first: a point is on the front if it is better than all that cost less.
    for cost, quality in sorted(set(points), key=lambda point: (point[0], -point[1])):
        if quality > best_cheaper:
            front.add((cost, quality))
            best_cheaper = quality
    return [point in front for point in points]
