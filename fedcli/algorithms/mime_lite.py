"""MimeLite: clients step with the server's momentum, which they do not change.

Karimireddy et al. 2021, "Breaking the centralized barrier for cross-device federated learning" (Mime),
https://arxiv.org/abs/2008.03606, algorithm 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fedcli.algorithms import algorithms
from fedcli.algorithms.base import Parts
from fedcli.algorithms.weighting import WeightedAlgorithm
from fedcli.errors import ConfigError

if TYPE_CHECKING:
    import tensorflow_federated as tff

    from fedcli.optimizers.base import OptimizerConfig


@algorithms.register("mime_lite")
@dataclass(frozen=True)
class MimeLite(WeightedAlgorithm):
    """The state of `client_optimizer` is the server's: clients get it, use it in each step, and leave it as it is.

    The server brings it up to date by the mean of the clients' gradients at the model that they got. These go up beside
    the update, 32 bits a number whatever the aggregator, and the optimizer's state goes down beside the model: with a
    momentum, each direction has twice FedAvg's bits. To compute the gradients, a client passes over its examples once
    more.

    A client's gradient is that of the mean loss of all its targets, padding left out. In the mean of the gradients a
    client counts as in that of the updates; see `WeightedAlgorithm`.
    """

    takes_rates_from_state = True

    name: str = "mime_lite"

    def computed_examples(self, num_examples: int, batch_size: int) -> int:
        """Counts both passes: one for the gradient at the server's model, one for the local steps."""
        return 2 * num_examples

    def check_optimizer(self, client_optimizer: OptimizerConfig) -> None:
        """Refuses plain SGD, whose state is nothing; see the base class."""
        if client_optimizer.name == "sgd" and not getattr(client_optimizer, "momentum", 0.0):
            raise ConfigError(
                "algorithm=mime_lite with plain SGD is fed_avg, for more bits: there is no momentum to share",
                "set client_optimizer.momentum=0.9, choose client_optimizer=adam, or algorithm=fed_avg",
            )

    def build(self, parts: Parts) -> tff.learning.templates.LearningProcess:
        """Builds the process; see the base class and `shared_momentum_client_work`."""
        from fedcli.algorithms.processes.shared_momentum_work import shared_momentum_client_work

        parts = self.counting(parts)
        weighted = self.counts_by_weight
        work = shared_momentum_client_work(parts.model_fn, parts.client_optimizer.build(), weighted=weighted)
        return parts.compose(work, weighted=weighted)
