"""FedProx: local training that is held near the server's model.

Li et al. 2020, "Federated Optimization in Heterogeneous Networks", https://arxiv.org/abs/1812.06127.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fedcli.algorithms import algorithms
from fedcli.algorithms.base import Parts
from fedcli.algorithms.weighting import WeightedAlgorithm
from fedcli.ranges import Range

if TYPE_CHECKING:
    import tensorflow as tf
    import tensorflow_federated as tff


@algorithms.register("fed_prox")
@dataclass(frozen=True)
class FedProx(WeightedAlgorithm):
    """Each client minimises its loss plus mu / 2 times the squared distance from the model that it got.

    The paper solves this inexactly, by as many steps as a client has time for: `dataset.client_epochs`. Its best mu of
    1, 0.1, 0.01 and 0.001 was 1 on FEMNIST (and synthetic data and MNIST) and 0.001 on Shakespeare.

    Attributes:
        mu: Strength of the proximal term; 0 is FedAvg.
    """

    takes_sub_models = True
    sends_only_updates = True
    takes_rates_from_state = True

    name: str = "fed_prox"
    mu: Annotated[float, Range(0.0, 1e6)] = 1.0

    def build(self, parts: Parts) -> tff.learning.templates.LearningProcess:
        """Builds the process; see the base class.

        Not by `tff.learning.algorithms.build_weighted_fed_prox`, whose clients learn the learning rate when the graph
        is built, so that no schedule could change it.
        """
        from fedcli.algorithms.processes.corrected_work import corrected_client_work

        parts = self.counting(parts)
        mu = self.mu

        def towards_initial(gradient: tf.Tensor, weight: tf.Tensor, initial: tf.Tensor) -> tf.Tensor:
            return gradient + mu * (weight - initial)

        work = corrected_client_work(
            parts.client_model_fn, parts.client_optimizer.build(), towards_initial, weighted=self.counts_by_weight
        )
        return parts.compose(work, weighted=self.counts_by_weight)
