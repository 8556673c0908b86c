"""The devices that clients are simulated to run on: a compute speed and a link each.

A client keeps both in all rounds, unless `sampling.jitter` slows the device down or speeds it up in single rounds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from fedcli.keys.sampling import SamplingConfig
from fedcli.training.sampling import generator


@dataclass(frozen=True)
class Device:
    """How fast a client is.

    A round takes a client download bits / download rate + examples x seconds an example + upload bits / upload rate, as
    in FedScale (Lai et al. 2022, https://arxiv.org/abs/2105.11367). The examples are those whose gradients the client
    computes: `AlgorithmConfig.computed_examples` counts them, and `DistributorConfig.compute_fraction` says how much
    less they take where clients train a smaller model.

    Attributes:
        seconds_per_example: Time to compute the gradient of the server's model for one example.
        download_rate: Bits a second that it receives.
        upload_rate: Bits a second that it sends.
    """

    seconds_per_example: float
    download_rate: float
    upload_rate: float

    def slowed(self, factor: float) -> Device:
        """Returns a device that takes `factor` times as long for everything; a factor below 1 makes it faster."""
        return Device(self.seconds_per_example * factor, self.download_rate / factor, self.upload_rate / factor)


def device(config: SamplingConfig, seed: int, round: int, client: str) -> Device:
    """Returns a client's device as it is in one round.

    Compute speed and link are drawn by (seed, client): a slow client is slow in every round. With `jitter`, a third
    factor is drawn by (seed, round, client) and multiplies all times of that round. All three factors are log-normal
    with median 1, and independent: the jitter makes a client faster than usual in half of the rounds, slower in the
    other half, and its mean time exp(jitter^2 / 2) times as long.

    Args:
        config: The distributions.
        seed: The run's seed.
        round: The round, from 1.
        client: The client's id.
    """
    speed, link = generator(seed, "device", client).standard_normal(2).tolist()
    faster = math.exp(config.bandwidth_sigma * link)
    own = Device(
        config.seconds_per_example * math.exp(config.compute_sigma * speed),
        config.download_rate * faster,
        config.upload_rate * faster,
    )
    if not config.jitter:
        return own
    return own.slowed(math.exp(config.jitter * generator(seed, "slowdown", round, client).standard_normal()))


def is_lost(dropout: float, seed: int, round: int, client: str) -> bool:
    """Tells whether a client is lost in a round, drawn by (seed, round, client) with probability `dropout`."""
    return bool(generator(seed, "dropout", round, client).random() < dropout)
