"""The weights of clients in the mean of their updates: examples, tokens, or the same for all."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

from fedcli.algorithms.base import AlgorithmConfig, Parts
from fedcli.errors import ConfigError

EXAMPLES, TOKENS, UNIFORM = "examples", "tokens", "uniform"


@dataclass(frozen=True)
class WeightedAlgorithm(AlgorithmConfig):
    """An algorithm whose clients can count by their amount of data.

    Each of both keys follows from the other where it is None: configs that say the same are equal.

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

    def __post_init__(self) -> None:
        if self.weighted_by is None:
            object.__setattr__(self, "weighted_by", UNIFORM if self.weighted is False else EXAMPLES)
        if self.weighted is None:
            object.__setattr__(self, "weighted", self.weighted_by != UNIFORM)

    @property
    def counts_by_weight(self) -> bool:
        """Whether clients count by examples or tokens, rather than all the same.

        Raises:
            ConfigError: `weighted` and `weighted_by` contradict each other.
        """
        for key, requirement in WeightedAlgorithm.problems(self):
            raise ConfigError(f"algorithm.{key}={getattr(self, key)}: {requirement}", f"set algorithm.{key}=VALUE")
        return self.weighted_by != UNIFORM

    def problems(self) -> Iterator[tuple[str, str]]:
        """Checks that the weighting is known and that both keys agree on it."""
        yield from super().problems()
        if self.weighted_by not in (EXAMPLES, TOKENS, UNIFORM):
            yield "weighted_by", f"must be {EXAMPLES}, {TOKENS}, {UNIFORM} or null"
        elif self.weighted != (self.weighted_by != UNIFORM):
            yield "weighted", f"contradicts algorithm.weighted_by={self.weighted_by}: give one of the two"

    def counting(self, parts: Parts) -> Parts:
        """Returns the parts with a model that counts what clients count by, as its number of examples."""
        if self.weighted_by != TOKENS:
            return parts
        return dataclasses.replace(parts, model_fn=parts.model_fn.counting_targets())
