"""What clients count by where an algorithm takes the mean of their updates."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

from fedcli.algorithms.base import AlgorithmConfig, Parts

EXAMPLES, TOKENS, UNIFORM = "examples", "tokens", "uniform"


@dataclass(frozen=True)
class WeightedAlgorithm(AlgorithmConfig):
    """An algorithm whose clients can count by their amount of data.

    Attributes:
        weighted: The short form of `weighted_by`: true for `examples`, false for `uniform`; None if `weighted_by` says
            it.
        weighted_by: `examples`: a client counts by the examples that it trains on, which for text are sequences, the
            padding in them included. `tokens`: by the targets that it trains on, padding left out, as in the code of
            Reddi et al. for text; where an example has one label, the same as `examples`. `uniform`: each client counts
            the same. None for what `weighted` says, `examples` by default.
    """

    weighted: bool | None = None
    weighted_by: str | None = None

    @property
    def weighting(self) -> str:
        """What clients count by: `EXAMPLES`, `TOKENS` or `UNIFORM`."""
        return self.weighted_by or (UNIFORM if self.weighted is False else EXAMPLES)

    @property
    def counts_by_weight(self) -> bool:
        """As the keys say; see the base class."""
        return self.weighting != UNIFORM

    def problems(self) -> Iterator[tuple[str, str]]:
        """The weighting is one, and both keys agree; see the base class."""
        yield from super().problems()
        if self.weighted_by not in (None, EXAMPLES, TOKENS, UNIFORM):
            yield "weighted_by", f"must be {EXAMPLES}, {TOKENS}, {UNIFORM} or null"
        elif self.weighted is not None and self.weighted_by is not None and self.weighted != self.counts_by_weight:
            yield "weighted", f"contradicts algorithm.weighted_by={self.weighted_by}: give one of the two"

    def counting(self, parts: Parts) -> Parts:
        """Returns the parts with a model that counts what clients count by, as its number of examples."""
        if self.weighting != TOKENS:
            return parts
        return dataclasses.replace(parts, model_fn=parts.model_fn.counting_targets())
