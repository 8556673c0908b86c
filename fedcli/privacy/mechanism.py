"""What a differentially private round releases of its clients, in the numbers that an accountant needs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GaussianSum:
    """The sum of vectors clipped to an L2 norm, and Gaussian noise.

    Attributes:
        noise_multiplier: Standard deviation of the noise, in clipping norms.
    """

    noise_multiplier: float


@dataclass(frozen=True)
class SkellamSum:
    """The sum of vectors of integers, and Skellam noise: that of all clients together.

    Attributes:
        l1_sensitivity: Largest L1 norm of a client's vector.
        l2_sensitivity: Largest L2 norm.
        variance: Of the noise on each number of the sum.
    """

    l1_sensitivity: float
    l2_sensitivity: float
    variance: float


Mechanism = GaussianSum | SkellamSum
