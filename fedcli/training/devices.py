"""The devices that clients are simulated to run on: a speed and a link each, the same in every round."""

from __future__ import annotations

import math
from dataclasses import dataclass

from fedcli.config.sampling import SamplingConfig
from fedcli.training.sampling import generator


@dataclass(frozen=True)
class Device:
    """How fast a client is.

    A round takes it download bits / download rate + examples x seconds an example + upload bits / upload rate, as in
    FedScale (Lai et al. 2022, https://arxiv.org/abs/2105.11367).

    Attributes:
        seconds_per_example: Of training on an example once.
        download_rate: Bits a second that it receives.
        upload_rate: Bits a second that it sends.
    """

    seconds_per_example: float
    download_rate: float
    upload_rate: float

    def slowed(self, factor: float) -> Device:
        """Returns a device that takes `factor` times as long for everything."""
        return Device(self.seconds_per_example * factor, self.download_rate / factor, self.upload_rate / factor)


def device(config: SamplingConfig, seed: int, round: int, client: str) -> Device:
    """Returns a client's device as it is in one round.

    Speed and link are drawn by (seed, client), so a slow client is slow in every round; its slowdown, which is all
    that differs from round to round, by (seed, round, client). All three are log-normal, and independent.

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
