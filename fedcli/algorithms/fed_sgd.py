"""Federated SGD: one step of the server along the clients' gradients.

McMahan et al. 2017, "Communication-Efficient Learning of Deep Networks from Decentralized Data",
https://arxiv.org/abs/1602.05629, section 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from fedcli.algorithms import algorithms
from fedcli.algorithms.base import Parts
from fedcli.algorithms.weighting import WeightedAlgorithm

if TYPE_CHECKING:
    import tensorflow_federated as tff


@algorithms.register("fed_sgd")
@dataclass(frozen=True)
class FedSGD(WeightedAlgorithm):
    """Each client sends the gradient of its mean loss at the server's model, the server takes a step along their mean.

    The mean loss is that of all targets of a client, padding left out: the gradient does not depend on the batch size.
    By what a client counts in the mean of the gradients, `WeightedAlgorithm` says. `server_optimizer.learning_rate` is
    the step size; `client_optimizer` is not used. With more than one of `dataset.client_epochs`, a client passes over
    its examples again and computes the same gradient.
    """

    uses_client_optimizer: ClassVar[bool] = False
    sends_only_updates: ClassVar[bool] = True
    takes_rates_from_state: ClassVar[bool] = True

    name: str = "fed_sgd"

    def build(self, parts: Parts) -> tff.learning.templates.LearningProcess:
        """Builds the process; see the base class and `gradient_client_work`."""
        from fedcli.algorithms.processes.gradient_work import gradient_client_work

        parts = self.counting(parts)
        return parts.compose(gradient_client_work(parts.model_fn), weighted=self.counts_by_weight)
