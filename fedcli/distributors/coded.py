"""What the distributors have in common that send the model by a codec of fedcli."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from fedcli.aggregators.coded import CodedAggregator
from fedcli.columns import Columns, Direction
from fedcli.distributors.base import DistributorConfig
from fedcli.ranges import Count

if TYPE_CHECKING:
    import tensorflow_federated as tff

    from fedcli.models.base import ModelFn


@dataclass(frozen=True)
class CodedDistributor(DistributorConfig):
    """The server encodes the model's large tensors once a round, as an aggregator's clients do updates.

    Attributes:
        min_elements: Tensors of fewer numbers are sent whole.
        stateful_clients: Whether clients keep the model that they last had and get what has changed since, or the
            whole model where that is less or they have none. False: every client gets this round's model, coded.
    """

    columns: ClassVar[Columns] = {
        "bits_per_element": Direction.MINIMIZE,
        "stream_bits": Direction.MINIMIZE,
        "distortion": Direction.MINIMIZE,
    }

    min_elements: Count = 20_000
    stateful_clients: bool = False

    @property
    def clients_keep_state(self) -> bool:
        """As the key says; see the base class."""
        return self.stateful_clients

    @abstractmethod
    def coding(self) -> CodedAggregator:
        """Returns the aggregator that codes in the same way: its codec and its limits on values."""

    def build(self, model_fn: ModelFn) -> tff.learning.templates.DistributionProcess:
        """Builds the process; see the base class and `fedcli.compression.coded_model`."""
        import tensorflow_federated as tff

        from fedcli.compression.coded_model import ModelChange, WholeModel, distribution

        coded = ModelChange if self.stateful_clients else WholeModel
        weights_type = tff.learning.models.weights_type_from_model(model_fn)
        return distribution(coded(weights_type, self.coding().codec, self.min_elements))

    def problems(self) -> Iterator[tuple[str, str]]:
        """Values are in their ranges and fit each other: the same as for updates."""
        # Keys that both have are checked alike by both.
        yield from dict.fromkeys([*super().problems(), *self.coding().problems()])
