"""A sum to which each client adds a share of the noise: the distributed Skellam mechanism.

Agarwal et al. 2021, "The Skellam Mechanism for Differentially Private Federated Learning",
https://arxiv.org/abs/2110.04995, algorithm 1. Made of the same parts as TFF's `DistributedDpSumFactory`, with its
choice of the scale, but of fewer of them: within the mean and the algorithm around it, that one nests deeper than a
protocol buffer may. And the sum is TFF's secure modular sum, which that one imitates by a sum.
"""

from __future__ import annotations

import math

import tensorflow_federated as tff
import tensorflow_privacy as tfp
from tensorflow_federated.python.aggregators.discretization import DiscretizationFactory

#: Added to the norm that a rounded update may have, for what float32 computes a little larger; TFF's.
_LEEWAY = 1e-5
#: A larger scale gains nothing, and its integers get too large; TFF's.
_LARGEST_SCALE = 1e6
#: The L1 norm of a vector of integers has 32 bits, of which this leaves half to what rounding adds.
_LARGEST_L1 = 2.0**30


class DistributedSkellamSum(tff.aggregators.UnweightedAggregationFactory):
    """Sums vectors that are clipped, rotated, scaled, rounded at random and given noise by their clients.

    Args:
        noise_multiplier: Standard deviation of the noise of all clients on the sum, in clipping norms.
        clients: How many clients share the noise.
        bits: Bits a number of the sum, which is modulo 2^bits - 1.
        clip: The L2 norm that vectors are clipped to.
        rotation: `hd` (Hadamard) or `dft` (Fourier).
        deviations: How many standard deviations of a number of the sum its bits have room for.
    """

    def __init__(
        self, noise_multiplier: float, clients: int, bits: int, clip: float, rotation: str, deviations: float
    ) -> None:
        self._noise_multiplier = noise_multiplier
        self._clients = clients
        self._bits = bits
        self._clip = clip
        self._rotation = rotation
        self._deviations = deviations

    def create(self, value_type: tff.Type) -> tff.templates.AggregationProcess:
        """Creates the process; see TFF's base class."""
        size = sum(math.prod(tuple(leaf.shape)) for leaf in tff.structure.flatten(tff.types.to_type(value_type)))
        size = self._rotated_size(max(1, size))
        scale = self._scale(size)
        # Rounding makes a vector longer by at most the diagonal of a cell of the grid: Kairouz et al. 2021,
        # https://arxiv.org/abs/2102.06387, theorem 1, for unconditional rounding.
        l2_norm = (self._clip + math.sqrt(size) / scale + _LEEWAY) * scale
        # Of whole numbers, the L1 norm is at most the squared L2 norm; of any, sqrt(size) times the L2 norm.
        l1_norm = math.ceil(l2_norm * min(math.sqrt(size), l2_norm))
        query = tfp.DistributedSkellamSumQuery(l1_norm, l2_norm, self._local_stddev * scale)
        total = tff.aggregators.SecureModularSumFactory(2 ** (self._bits - 1), symmetric_range=True)
        noisy = tff.aggregators.DifferentiallyPrivateFactory(query, total)
        rounded = DiscretizationFactory(noisy, scale, stochastic=True, prior_norm_bound=self._clip)
        count = tff.aggregators.SecureSumFactory(upper_bound_threshold=1, lower_bound_threshold=0)
        clipped = tff.aggregators.clipping_factory(self._clip, rounded, clipped_count_sum_factory=count)
        rotate = (
            tff.aggregators.HadamardTransformFactory
            if self._rotation == "hd"
            else tff.aggregators.DiscreteFourierTransformFactory
        )
        return tff.aggregators.concat_factory(rotate(clipped)).create(value_type)

    @property
    def _local_stddev(self) -> float:
        return self._noise_multiplier * self._clip / math.sqrt(self._clients)

    def _rotated_size(self, size: int) -> int:
        if self._rotation == "hd":
            return 2 ** math.ceil(math.log2(size))
        return size + size % 2

    def _scale(self, size: int) -> float:
        """Chooses a scale at which the sum, taken for normal, keeps within its bits: Kairouz et al. 2021, section 4."""
        room = math.sqrt(4.0**self._bits - self._clients * self._deviations**2)
        spread = math.sqrt((self._clip * self._clients) ** 2 / size + self._clients * self._local_stddev**2)
        return min(room / (2 * self._deviations * spread), _LARGEST_SCALE, _LARGEST_L1 / (self._clip * math.sqrt(size)))
