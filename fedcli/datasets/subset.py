"""Choices among examples and clients that are the same in every run."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fedcli.errors import ConfigError

# Not the run's seed: all runs, whatever their seed, are to be tested on the same examples.
_SEED = 20180801


def spread_subset(total: int, limit: int | None) -> NDArray[np.int64]:
    """Chooses examples spread evenly over `range(total)`, in which clients lie one after the other.

    The range is cut into `limit` parts of near equal size and one example is drawn from each: every client is
    represented in proportion to its examples, to within one.

    Args:
        total: Number of examples.
        limit: How many to choose at most, 0 for none; None for all.

    Returns:
        Their positions, ascending, [min(total, limit)]. They depend on the arguments only.
    """
    if limit is None or limit >= total:
        return np.arange(total, dtype=np.int64)
    edges = np.arange(limit + 1, dtype=np.int64) * total // max(limit, 1)
    within = np.random.default_rng(_SEED).random(limit) * np.diff(edges)
    return edges[:-1] + within.astype(np.int64)


def choose_clients(available: Sequence[str], chosen: Sequence[str] | None) -> Sequence[str]:
    """Returns the chosen clients, sorted; `available` itself for None.

    Args:
        available: Every client, sorted.
        chosen: The only clients to use.

    Raises:
        ConfigError: There is no such client, or none is chosen.
    """
    if chosen is None:
        return available
    if not chosen:
        raise ConfigError("dataset.clients=[]: no client is left", "name at least one, or null for all clients")
    known = set(available)
    for client in chosen:
        if client not in known:
            close = (
                difflib.get_close_matches(client, available, n=3)
                or [name for name in available if client.lower() in name.lower()][:3]
            )
            raise ConfigError(
                f"dataset.clients: there is no client {client}",
                f"did you mean {' or '.join(close)}?"
                if close
                else f"the {len(available)} clients have ids such as {available[0]}",
            )
    return sorted(set(chosen))
