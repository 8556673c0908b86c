"""Random numbers of the server's own that a run's seed decides, and that can be drawn again.

TFF's MapReduce form computes on the server twice what both the clients and the next state need: in `prepare` and in
`update`. Both must draw the same numbers, as must a run that goes on from a checkpoint: so they derive from a seed that
is part of the state, and the number of the round.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import tensorflow as tf

from fedcli.compression.codec import derived

#: Name of the leaf, int32 [2], that fedcli fills from the run's seed in the state of the first round. All of them in
#: a state have the same value: what a distributor and an aggregator draw for the same purpose is the same.
SEED = "fedcli_seed"


def initial_seed() -> OrderedDict[str, tf.Tensor]:
    """Makes the part of a state that random numbers come from."""
    return OrderedDict({SEED: tf.zeros([2], tf.int32), "round": tf.constant(0, tf.int32)})


def next_round(random: Any) -> OrderedDict[str, tf.Tensor]:
    """Makes that part of the next round's state."""
    return OrderedDict({SEED: random[SEED], "round": random["round"] + 1})


def round_seed(random: Any, purpose: int) -> tf.Tensor:
    """Derives the seed, int32 [2], of one purpose in this round."""
    return derived(derived(random[SEED], purpose), random["round"])
