"""Federated Reconstruction: some layers stay on the clients, which learn them anew whenever they need them.

Singhal et al. 2021, "Federated Reconstruction: Partially Local Federated Learning",
https://arxiv.org/abs/2102.03448, algorithm 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from fedcli.algorithms import algorithms
from fedcli.algorithms.base import AlgorithmConfig, Parts
from fedcli.algorithms.weighting import WeightedAlgorithm
from fedcli.errors import ConfigError
from fedcli.optimizers.sgd import SGD
from fedcli.ranges import LearningRate, Range

if TYPE_CHECKING:
    import tensorflow_federated as tff

    from fedcli.datasets.base import DatasetConfig
    from fedcli.partitions.base import PartitionConfig

SPLIT, SAME = "split", "same"


@algorithms.register("fed_recon")
@dataclass(frozen=True)
class FedRecon(WeightedAlgorithm):
    """Each client reconstructs its local layers by SGD, then trains the others, of which alone the changes are sent.

    A client counts by the examples (or tokens) that the shared layers are trained on; see `WeightedAlgorithm`.

    In every round and evaluation the local layers start from the same values, those of the initial (or pretrained)
    model, and nothing of them is kept or sent. The model that counts is so a client's: what the server has, and the
    layers that the client reconstructs from its training examples. On its own test examples that is what evaluations
    tell of.

    Attributes:
        local_layers: Names of the Keras layers that stay on the clients; None for the last layer that has weights.
        reconstruction_learning_rate: Step size of the reconstruction. `client_optimizer` trains the other layers.
        reconstruction_epochs: Passes over the support batches.
        support: `split`: a client reconstructs from its first, third, ... batch and trains on the second, fourth, ...;
            `same`: it uses all batches for both. Evaluations reconstruct from all training examples, whatever
            `dataset.max_batches_per_client` says.
    """

    sends_only_updates = True
    takes_rates_from_state = True

    name: str = "fed_recon"
    local_layers: list[str] | None = None
    reconstruction_learning_rate: LearningRate = 0.1
    reconstruction_epochs: Annotated[int, Range(1, 10**6)] = 1
    support: str = SPLIT

    @property
    def batches_needed(self) -> int:
        """One for each purpose; see the base class."""
        return 2 if self.support == SPLIT else 1

    def computed_examples(self, num_examples: int, batch_size: int) -> int:
        """Counts `reconstruction_epochs` passes over the support batches and one over the query batches.

        A pass for the local layers alone counts as much as one for the whole model.
        """
        if self.support == SAME:
            return (self.reconstruction_epochs + 1) * num_examples
        # The support batches are the first, the third and so on.
        pairs, rest = divmod(num_examples, 2 * batch_size)
        support = pairs * batch_size + min(rest, batch_size)
        return self.reconstruction_epochs * support + num_examples - support

    @property
    def reconstruction(self) -> Reconstructed:
        """Learns the local layers and nothing else; see the base class."""
        layers = None if self.local_layers is None else tuple(self.local_layers)
        return Reconstructed(
            local_layers=layers, learning_rate=self.reconstruction_learning_rate, epochs=self.reconstruction_epochs
        )

    def problems(self) -> Iterator[tuple[str, str]]:
        """Values are in their ranges; see the base class."""
        yield from super().problems()
        if self.local_layers is not None and not self.local_layers:
            yield "local_layers", "must name at least one layer, or be null for the last one; without, it is fed_avg"
        if self.support not in (SPLIT, SAME):
            yield "support", f"must be {SPLIT} or {SAME}"

    def check_data(self, dataset: DatasetConfig, partition: PartitionConfig) -> None:
        """Refuses synthetic clients, which have no test examples, and batches that cannot be split."""
        if partition.name != "natural":
            raise ConfigError(
                f"partition={partition.name}: algorithm=fed_recon is evaluated by the models of single clients, "
                "each on its own test examples, and synthetic clients have none",
                "choose partition=natural",
            )
        most = dataset.max_batches_per_client
        if most is not None and most < self.batches_needed:
            raise ConfigError(
                f"dataset.max_batches_per_client={most}: with algorithm.support={SPLIT}, clients reconstruct from one "
                "batch and train on another",
                f"set dataset.max_batches_per_client to at least {self.batches_needed}, or algorithm.support={SAME}",
            )
        if self.support == SPLIT and dataset.client_epochs > 1:
            raise ConfigError(
                f"dataset.client_epochs={dataset.client_epochs}: with algorithm.support={SPLIT}, what a client has "
                "reconstructed from in one epoch it would train on in the next",
                f"set dataset.client_epochs=1, or algorithm.support={SAME}",
            )

    def build(self, parts: Parts) -> tff.learning.templates.LearningProcess:
        """Builds the process; see the base class."""
        from fedcli.algorithms.processes.reconstructing_work import reconstructing_client_work

        parts = self.counting(parts)
        reconstruction = _reconstruction(
            parts, self.local_layers, self.reconstruction_learning_rate, self.reconstruction_epochs
        )
        work = reconstructing_client_work(
            parts.model_fn,
            reconstruction,
            parts.client_optimizer.build(),
            split=self.support == SPLIT,
            weighted=self.counts_by_weight,
        )
        return parts.compose(work, weighted=self.counts_by_weight, shared=reconstruction.part)


@dataclass(frozen=True)
class Reconstructed(AlgorithmConfig):
    """Clients reconstruct local layers and send them: for evaluations, in which a client is its own server.

    Attributes:
        local_layers: See `FedRecon`.
        learning_rate: Step size.
        epochs: Passes over the batches.
    """

    uses_client_optimizer = False

    name: str = "reconstructed"
    local_layers: tuple[str, ...] | None = None
    learning_rate: float = 0.1
    epochs: int = 1

    def build(self, parts: Parts) -> tff.learning.templates.LearningProcess:
        """Builds the process; see the base class."""
        from fedcli.algorithms.processes.reconstructing_work import only_reconstructing_client_work

        reconstruction = _reconstruction(parts, self.local_layers, self.learning_rate, self.epochs)
        return parts.compose(only_reconstructing_client_work(parts.model_fn, reconstruction), weighted=False)


def _reconstruction(parts: Parts, local_layers: Sequence[str] | None, learning_rate: float, epochs: int) -> Any:
    from fedcli.algorithms.processes.local_layers import local_positions
    from fedcli.algorithms.processes.reconstructing_work import Reconstruction
    from fedcli.algorithms.processes.shared_part import SharedPart

    part = SharedPart(parts.model_fn, local_positions(parts.model_fn, local_layers))
    return Reconstruction(part, SGD(learning_rate=learning_rate).build(), epochs)
