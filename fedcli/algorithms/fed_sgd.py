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
    takes_rates_from_state: ClassVar[bool] = True

    name: str = "fed_sgd"
    weighted: bool = True

    def build(self, parts: Parts) -> tff.learning.templates.LearningProcess:
        """Builds the process; see the base class.

        It is that of `tff.learning.algorithms.build_fed_sgd`, which does not let one at the clients' work.
        """
        import tensorflow_federated as tff
        from tensorflow_federated.python.learning.algorithms import fed_sgd

        work = fed_sgd._build_fed_sgd_client_work(
            parts.model_fn,
            tff.learning.metrics.sum_then_finalize,
            loop_implementation=tff.learning.LoopImplementation.DATASET_ITERATOR,
        )
        return parts.compose(work, weighted=self.weighted)
