"""Central differential privacy: clients' updates are clipped, the server adds noise to their sum."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from fedcli.aggregators import aggregators
from fedcli.aggregators.base import AggregatorConfig
from fedcli.columns import Columns
from fedcli.privacy.mechanism import GaussianSum, Mechanism
from fedcli.ranges import Count, Fraction, Range

if TYPE_CHECKING:
    import tensorflow_federated as tff

_CLIPPINGS = ("fixed", "adaptive")
#: Share of the clients of a round that is the deviation of the noise on how many are not clipped (Andrew et al. 2021).
_COUNT_NOISE = 0.05


@aggregators.register("dp")
@dataclass(frozen=True)
class DP(AggregatorConfig):
    """The sum of clipped updates and Gaussian noise, divided by the number of clients that are expected (DP-FedAvg).

    McMahan et al. 2018, "Learning Differentially Private Recurrent Language Models", https://arxiv.org/abs/1710.06963,
    whose noise multiplier of 1 is the default; adaptive clipping: Andrew et al. 2021, "Differentially Private Learning
    with Adaptive Clipping", https://arxiv.org/abs/1905.03871, whose clipping norm of 0.1 at first, median and rate of
    0.2 are TFF's defaults and these. Each round also releases, with noise of its own, how many clients were not
    clipped; `noise_multiplier` is that of both releases together (theorem 1), so the sum gets a little more noise.

    A client that does not report (it has no batch, or its update is not finite) adds nothing to either release. The
    divisor stays, and the noise is added even if nobody reports, so that neither tells who took part.

    Attributes:
        noise_multiplier: Standard deviation of the noise on the sum, in clipping norms; see above.
        clipping: `adaptive`: the L2 norm follows a quantile of the clients' norms; `fixed`.
        clip: The L2 norm that updates are clipped to, in the first round where it adapts.
        target_quantile: Share of the clients whose updates are not to be clipped, for `adaptive`.
        clip_learning_rate: How fast the norm adapts: by at most a factor of e to this in a round.
        clipped_count_stddev: Standard deviation of the noise on the number of clients that were not clipped; None for
            a twentieth of `clients_per_round` as in the paper, but at least the noise multiplier: with few clients, the
            sum would else need far more noise than that.
        clients_per_round: What the sum is divided by.
    """

    #: The L2 norm that updates were clipped to, where it adapts.
    columns: ClassVar[Columns] = {"clip": None}
    takes_weights: ClassVar[bool] = False
    adds_noise: ClassVar[bool] = True

    name: str = "dp"
    noise_multiplier: Annotated[float, Range(0.0, 1e6)] = 1.0
    clipping: str = "adaptive"
    clip: Annotated[float, Range(1e-9, 1e9)] = 0.1
    target_quantile: Fraction = 0.5
    clip_learning_rate: Annotated[float, Range(0.0, 10.0)] = 0.2
    clipped_count_stddev: Annotated[float, Range(0.0, 1e9)] | None = None
    clients_per_round: Count = 10

    def build(self, *, weighted: bool) -> tff.aggregators.AggregationFactory:
        """Builds TFF's factory; see the base class."""
        import tensorflow_federated as tff

        private = tff.aggregators.DifferentiallyPrivateFactory
        clients = float(self.clients_per_round)
        if self.clipping == "fixed":
            return private.gaussian_fixed(self.noise_multiplier, clients, self.clip)
        return private.gaussian_adaptive(
            self.noise_multiplier,
            clients,
            initial_l2_norm_clip=self.clip,
            target_unclipped_quantile=self.target_quantile,
            learning_rate=self.clip_learning_rate,
            clipped_count_stddev=self.count_stddev,
        )

    @property
    def count_stddev(self) -> float:
        """Standard deviation of the noise on the number of clients that were not clipped."""
        if self.clipped_count_stddev is not None:
            return self.clipped_count_stddev
        if not self.noise_multiplier:
            return 0.0
        return max(_COUNT_NOISE * self.clients_per_round, self.noise_multiplier)

    def mechanism(self, state: Mapping[str, float]) -> Mechanism:
        """Describes what a round releases; see the base class."""
        return GaussianSum(self.noise_multiplier)

    def problems(self) -> Iterator[tuple[str, str]]:
        """Values are in their ranges and fit each other."""
        yield from super().problems()
        if self.clipping not in _CLIPPINGS:
            yield "clipping", f"must be one of: {', '.join(_CLIPPINGS)}"
        if self.clipping == "adaptive" and self.noise_multiplier and not self.noise_multiplier < 2 * self.count_stddev:
            # What the sum may spend would be nothing, or less.
            yield "clipped_count_stddev", f"must be more than half of noise_multiplier={self.noise_multiplier:g}"
