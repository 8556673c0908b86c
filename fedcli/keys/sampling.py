"""Who of the clients that a round asks reports in time: dropout, over-selection and simulated devices."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from fedcli.ranges import Count, Positive, Range, out_of_range

#: A round samples `clients_per_round` clients, uniformly and without replacement.
FIXED = "fixed"
#: A round samples each client by itself, with the probability that makes it `clients_per_round` on average.
POISSON = "poisson"

#: Standard deviation of a logarithm. Beyond 10, clients differ by more than any time or rate can.
Sigma = Annotated[float, Range(0.0, 10.0)]


@dataclass(frozen=True)
class SamplingConfig:
    """How a round's clients are sampled, lost and cut.

    Over-selection, the reporting goal and the deadline are those of Bonawitz et al. 2019, "Towards Federated Learning
    at Scale: System Design", https://arxiv.org/abs/1902.01046, sections 2.2 and 9: 130 % of the goal are asked, and a
    round ends when the goal is met or the time is over. A client's time is computed as FedScale does (Lai et al. 2022,
    https://arxiv.org/abs/2105.11367): bits through its link, and examples at its speed. The log-normal distributions
    stand in for FedScale's traces of phones, which differ by an order of magnitude; the defaults are round numbers, not
    measured ones. All examples take a client the same time: a padded sequence of text takes as long as a full one.
    Encoding, decoding and evaluations take no simulated time. How the parts play together:
    `fedcli.training.participation`.

    Attributes:
        scheme: How a round's clients are sampled: `FIXED` or `POISSON`.
        simulate: Whether any of this is simulated; None: if any other key is not at its default.
        dropout: Probability that an asked client is lost in a round.
        overselect: So many times `clients_per_round` are asked, rounded up.
        goal: Reports that end a round; None for `clients_per_round`.
        deadline: Simulated seconds after which a round ends anyhow; None for no limit.
        seconds_per_example: Median over the clients of the time to compute the gradient of the server's model for one
            example. Each pass counts, also one that an algorithm adds; an example takes less time where the distributor
            sends a smaller model.
        compute_sigma: Standard deviation of its logarithm over the clients.
        download_rate: Median over the clients of the bits a second that they receive.
        upload_rate: Median over the clients of the bits a second that they send.
        bandwidth_sigma: Standard deviation of the rates' logarithm over the clients; a link is as good both ways.
        jitter: Standard deviation of the logarithm of the factor, of median 1, that multiplies all times of a client in
            one round.
    """

    scheme: str = FIXED
    simulate: bool | None = None
    dropout: Annotated[float, Range(0.0, 0.999999)] = 0.0
    overselect: Annotated[float, Range(1.0, 1e6)] = 1.0
    goal: Count | None = None
    deadline: Positive | None = None
    seconds_per_example: Positive = 0.02
    compute_sigma: Sigma = 1.0
    download_rate: Positive = 1e7
    upload_rate: Positive = 5e6
    bandwidth_sigma: Sigma = 1.0
    jitter: Sigma = 0.0

    @property
    def is_simulated(self) -> bool:
        """Whether runs simulate who reports, and when."""
        return self != SamplingConfig(scheme=self.scheme) if self.simulate is None else self.simulate

    def asked(self, clients_per_round: int) -> int:
        """Returns how many clients a round asks."""
        if not self.is_simulated:
            return clients_per_round
        # 1.1 * 10 is a little more than 11 in floating point, and must not become 12.
        return math.ceil(round(self.overselect * clients_per_round, 6))

    def reporting_goal(self, clients_per_round: int) -> int:
        """Returns how many reports end a round."""
        return clients_per_round if self.goal is None else self.goal

    def problems(self, clients_per_round: int) -> Iterator[tuple[str, str]]:
        """Yields the keys whose values make no sense, each with what they must be."""
        outside = list(out_of_range(self))
        yield from outside
        if outside:
            return
        if self.scheme not in (FIXED, POISSON):
            yield "scheme", f"must be one of: {FIXED}, {POISSON}"
        elif self.scheme == POISSON and self.is_simulated:
            yield "scheme", "does not go with simulated reports, whose goal is a number of clients: it must be fixed"
        if not 1 <= self.reporting_goal(clients_per_round) <= self.asked(clients_per_round):
            most = self.asked(clients_per_round)
            yield "goal", f"must be from 1 to the {most} clients that a round asks (clients_per_round x overselect)"
