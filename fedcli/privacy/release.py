"""What training has released of its clients so far, in the form that run.json keeps it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fedcli.keys.sampling import FIXED, POISSON
from fedcli.privacy.mechanism import GaussianSum, Mechanism, SkellamSum

_MECHANISMS: Mapping[str, type[Mechanism]] = {"gaussian": GaussianSum, "skellam": SkellamSum}


@dataclass(frozen=True)
class Release:
    """Rounds that are all alike.

    Attributes:
        mechanism: What one round releases.
        scheme: How its clients are sampled: see `SamplingConfig.scheme`.
        population: All clients.
        clients_per_round: How many a round samples, on average.
        rounds: Number of rounds.
    """

    mechanism: Mechanism
    scheme: str
    population: int
    clients_per_round: int
    rounds: int = 0

    def to_json(self) -> dict[str, Any]:
        """Returns the form that run.json keeps."""
        kind = next(name for name, mechanism in _MECHANISMS.items() if isinstance(self.mechanism, mechanism))
        return {**dataclasses.asdict(self), "mechanism": {"kind": kind, **dataclasses.asdict(self.mechanism)}}

    @classmethod
    def from_json(cls, document: Any) -> Release:
        """Reads what `to_json` made.

        Raises:
            ValueError: It is something else.
        """
        try:
            mechanism = dict(document["mechanism"])
            kind = _MECHANISMS[mechanism.pop("kind")]
            numbers = {name: float(value) for name, value in mechanism.items()}
            release = cls(
                kind(**numbers),
                document["scheme"],
                int(document["population"]),
                int(document["clients_per_round"]),
                int(document["rounds"]),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"not a release: {error}") from error
        is_finite = all(math.isfinite(value) and value >= 0 for value in numbers.values())
        # Noise that clients add needs a fixed number of them.
        schemes = (FIXED,) if kind is SkellamSum else (FIXED, POISSON)
        is_sampled = release.scheme in schemes and 1 <= release.clients_per_round <= release.population
        if not is_finite or not is_sampled or release.rounds < 0:
            raise ValueError("not a release: a number is out of its range")
        return release
