"""Distributed differential privacy: clients add the noise themselves, before a secure sum."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Annotated, ClassVar

from fedcli.aggregators import aggregators
from fedcli.aggregators.base import AggregatorConfig
from fedcli.aggregators.bounded import BOUNDED_COLUMNS, SECURE_COLUMNS
from fedcli.columns import Columns
from fedcli.privacy.mechanism import Mechanism, SkellamSum
from fedcli.ranges import Count, Range

if TYPE_CHECKING:
    import tensorflow_federated as tff

_ROTATIONS = ("hd", "dft")
#: TFF's implementation computes with integers in float32.
_MOST_BITS = 22
#: How probable it may be that a number of the sum is too large for its bits and wraps around: TFF's default.
_WRAPPING = 1e-4
#: Of a normal distribution, so many standard deviations on both sides leave that much outside.
_DEVIATIONS = NormalDist().inv_cdf(1 - _WRAPPING / 2)


@aggregators.register("ddp")
@dataclass(frozen=True)
class DDP(AggregatorConfig):
    """Updates are clipped, rotated, rounded to integers at random, given Skellam noise and summed modulo 2^bits.

    Agarwal et al. 2021, "The Skellam Mechanism for Differentially Private Federated Learning",
    https://arxiv.org/abs/2110.04995, algorithm 1, after Kairouz et al. 2021, "The Distributed Discrete Gaussian
    Mechanism for Federated Learning with Secure Aggregation", https://arxiv.org/abs/2102.06387. Each client adds its
    share of the noise, so that the server, which sees only the sum, need not be trusted with it. With the defaults of
    `tff.learning.ddp_secure_aggregator`, but for the clipping norm, which is fixed: for one that adapts there is no
    accountant here. The secure sum is simulated; see `fedcli.runtime.engine.secure_sums`.

    The sum has enough noise only if each client of the round adds its share. A client without a batch, or whose update
    is not finite, therefore sends zero and its noise, and counts in the mean's divisor: unlike with other aggregators
    it is not left out.

    Attributes:
        noise_multiplier: Standard deviation of the noise of all clients of a round on their sum, in clipping norms.
        clip: The L2 norm that updates are clipped to.
        bits: Bits a number of the sum.
        rotation: `hd`: a randomized Hadamard transform; `dft`: a randomized discrete Fourier transform.
        clients_per_round: How many clients share the noise.
    """

    columns: ClassVar[Columns] = {**BOUNDED_COLUMNS, **SECURE_COLUMNS}
    takes_weights: ClassVar[bool] = False
    adds_noise: ClassVar[bool] = True
    sums_securely: ClassVar[bool] = True
    clients_add_noise: ClassVar[bool] = True

    name: str = "ddp"
    noise_multiplier: Annotated[float, Range(0.0, 1e6)] = 1.0
    clip: Annotated[float, Range(1e-9, 1e9)] = 0.1
    bits: Annotated[int, Range(1, _MOST_BITS)] = 20
    rotation: str = "hd"
    clients_per_round: Count = 10

    def build(self, *, weighted: bool) -> tff.aggregators.AggregationFactory:
        """Builds TFF's factory; see the base class."""
        import tensorflow_federated as tff

        from fedcli.aggregators.processes.distributed_sum import DistributedSkellamSum

        private_sum = DistributedSkellamSum(
            self.noise_multiplier, self.clients_per_round, self.bits, self.clip, self.rotation, _DEVIATIONS
        )
        count = tff.aggregators.SecureSumFactory(upper_bound_threshold=1, lower_bound_threshold=0)
        return tff.aggregators.UnweightedMeanFactory(private_sum, count)

    def mechanism(self, state: Mapping[str, float]) -> Mechanism:
        """Describes what a round releases, by the numbers that TFF computed for the model's size."""

        def of(name: str) -> float:
            (value,) = (value for path, value in state.items() if path.endswith(f"query_state/{name}"))
            return value

        return SkellamSum(
            l1_sensitivity=of("l1_norm_bound"),
            l2_sensitivity=of("l2_norm_bound"),
            variance=self.clients_per_round * of("local_stddev") ** 2,
        )

    def problems(self) -> Iterator[tuple[str, str]]:
        """Values are in their ranges and fit each other."""
        yield from super().problems()
        if self.clients_per_round >= 1 and not self._least_bits <= self.bits <= _MOST_BITS:
            yield "bits", f"must be from {self._least_bits}, for {self.clients_per_round} clients, to {_MOST_BITS}"
        if self.rotation not in _ROTATIONS:
            yield "rotation", f"must be one of: {', '.join(_ROTATIONS)}"

    @property
    def _least_bits(self) -> int:
        """Fewer have no room for so many clients, or for their rounding: 3.9 deviations of it, by TFF's condition."""
        clients = math.log2(self.clients_per_round)
        return max(1, math.ceil(clients), math.ceil(clients / 2 + math.log2(_DEVIATIONS) + 1e-6))
