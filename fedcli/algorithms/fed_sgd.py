"""Federated SGD: one step of the server along the clients' gradients.

McMahan et al. 2017, "Communication-Efficient Learning of Deep Networks from Decentralized Data",
https://arxiv.org/abs/1602.05629, section 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from fedcli.algorithms import algorithms
from fedcli.algorithms.base import AlgorithmConfig, Parts

if TYPE_CHECKING:
    import tensorflow_federated as tff


@algorithms.register("fed_sgd")
@dataclass(frozen=True)
class FedSGD(AlgorithmConfig):
    """Each client sends the gradient of its mean loss at the server's model, the server takes a step along their mean.

    `server_optimizer.learning_rate` is the step size; `client_optimizer` is not used. More than one of
    `dataset.client_epochs` gives the same gradient again.

    Attributes:
        weighted: Whether a client counts by its number of examples (true), or each counts the same (false).
    """

    uses_client_optimizer: ClassVar[bool] = False
    sends_only_updates: ClassVar[bool] = True

    name: str = "fed_sgd"
    weighted: bool = True

    def build(self, parts: Parts) -> tff.learning.templates.LearningProcess:
        """Builds TFF's process; see the base class."""
        import tensorflow_federated as tff

        return tff.learning.algorithms.build_fed_sgd(
            parts.model_fn,
            parts.server_optimizer.build(),
            parts.distributor.build(parts.model_fn),
            parts.factory(weighted=self.weighted),
            loop_implementation=tff.learning.LoopImplementation.DATASET_ITERATOR,
        )
