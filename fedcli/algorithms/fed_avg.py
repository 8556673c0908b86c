"""Federated averaging.

McMahan et al. 2017, "Communication-Efficient Learning of Deep Networks from Decentralized Data",
https://arxiv.org/abs/1602.05629; with a server optimizer other than plain SGD, FedOpt (Reddi et al. 2021,
https://arxiv.org/abs/2003.00295).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fedcli.algorithms import algorithms
from fedcli.algorithms.base import Parts
from fedcli.algorithms.weighting import WeightedAlgorithm

if TYPE_CHECKING:
    import tensorflow_federated as tff


@algorithms.register("fed_avg")
@dataclass(frozen=True)
class FedAvg(WeightedAlgorithm):
    """Each client trains on its data, the server averages the changes. See `WeightedAlgorithm` on their weights."""

    takes_sub_models = True
    sends_only_updates = True
    takes_rates_from_state = True

    name: str = "fed_avg"

    def build(self, parts: Parts) -> tff.learning.templates.LearningProcess:
        """Builds the process; see the base class."""
        import tensorflow_federated as tff

        parts = self.counting(parts)
        weighting = tff.learning.ClientWeighting
        return parts.compose(
            tff.learning.templates.build_model_delta_client_work(
                parts.client_model_fn,
                parts.client_optimizer.build(),
                client_weighting=weighting.NUM_EXAMPLES if self.counts_by_weight else weighting.UNIFORM,
                # Twice as fast as the default, which reduces over the dataset.
                loop_implementation=tff.learning.LoopImplementation.DATASET_ITERATOR,
            ),
            weighted=self.counts_by_weight,
        )
