"""SCAFFOLD: local steps corrected by what clients know of each other's gradients.

Karimireddy et al. 2020, "SCAFFOLD: Stochastic Controlled Averaging for Federated Learning",
https://arxiv.org/abs/1910.06378, algorithm 1 with option II.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from fedcli.algorithms import algorithms
from fedcli.algorithms.base import AlgorithmConfig, Parts
from fedcli.errors import ConfigError

if TYPE_CHECKING:
    import tensorflow_federated as tff

    from fedcli.optimizers.base import OptimizerConfig


@algorithms.register("scaffold")
@dataclass(frozen=True)
class Scaffold(AlgorithmConfig):
    """Each step goes along the gradient, minus the client's control variate, plus the server's.

    A client's variate is the mean gradient of the steps that it took when it was last sampled, zero before; the
    server's is their mean over all clients, sampled or not. The server's goes down beside the model, the change of the
    client's up beside the update, 32 bits a number whatever distributor and aggregator: twice FedAvg's bits in both
    directions. As in the paper, clients all count the same and take plain SGD steps, and `server_optimizer` with a
    learning rate of 1 (the default) is its global step size of 1.

    The variates of the clients that have taken part are kept in files of the run, a float32 copy of the model each: for
    the CNN, 6.7 MB a client on the disk, and none of it in memory but for those in training.
    """

    clients_keep_state: ClassVar[bool] = True
    takes_rates_from_state: ClassVar[bool] = True

    name: str = "scaffold"

    def check_optimizer(self, client_optimizer: OptimizerConfig) -> None:
        """Refuses all but plain SGD: a gradient is told from the way that steps have gone; see the base class."""
        if client_optimizer.name != "sgd" or getattr(client_optimizer, "momentum", 0.0) > 0:
            raise ConfigError(
                "algorithm=scaffold takes plain SGD steps on clients, from which it tells their mean gradient",
                "choose client_optimizer=sgd with client_optimizer.momentum=0",
            )

    def build(self, parts: Parts) -> tff.learning.templates.LearningProcess:
        """Builds the process; see the base class and `controlled_client_work`."""
        from fedcli.algorithms.processes.controlled_work import controlled_client_work

        return parts.compose(controlled_client_work(parts.model_fn, parts.client_optimizer.build()), weighted=False)
