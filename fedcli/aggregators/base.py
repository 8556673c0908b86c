"""What an aggregator is to the rest of fedcli: how clients' updates become the server's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from fedcli.registry import Component

if TYPE_CHECKING:
    import tensorflow_federated as tff

    from fedcli.privacy.mechanism import Mechanism


@dataclass(frozen=True)
class AggregatorConfig(Component, ABC):
    """An aggregator and its keys."""

    #: Whether clients may count by a weight; else only an algorithm whose clients all count the same will do.
    takes_weights: ClassVar[bool] = True
    #: Whether it sums securely, which TFF's own runtime cannot.
    sums_securely: ClassVar[bool] = False
    #: Whether the model is differentially private: clipped updates, and noise; see `mechanism`.
    adds_noise: ClassVar[bool] = False
    #: Whether clients add the noise, so that there is less of it with fewer clients than expected.
    clients_add_noise: ClassVar[bool] = False

    @property
    def server_adds_noise(self) -> bool:
        """Whether there is noise even in a round in which no client reports."""
        return self.adds_noise and not self.clients_add_noise

    def check_reports(self, reports: int) -> None:
        """Refuses rounds that it cannot aggregate.

        Args:
            reports: Clients that report in a round, where none is lost.

        Raises:
            ConfigError: They are too few.
        """

    @abstractmethod
    def build(self, *, weighted: bool) -> tff.aggregators.AggregationFactory:
        """Builds TFF's factory.

        Args:
            weighted: Whether the algorithm gives each client a weight.

        Returns:
            A `WeightedAggregationFactory` if `weighted`, else an `UnweightedAggregationFactory`.
        """

    def mechanism(self, state: Mapping[str, float]) -> Mechanism | None:
        """Describes what each round releases of its clients, for the accountant; None where there is no noise.

        Args:
            state: The scalars of the aggregator's part of the server's state, by path.
        """
        return None
