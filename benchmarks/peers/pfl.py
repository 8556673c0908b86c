"""pfl-research's federated averaging with PyTorch, in one process or, started by `torchrun`, in several.

https://apple.github.io/pfl-research; weighted by data points. Each process of several has one thread.
"""

from __future__ import annotations

import os

if "RANK" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"

from itertools import count
from typing import Any

import numpy as np
import torch
from pfl.aggregate.simulate import SimulatedBackend
from pfl.aggregate.weighting import WeightByDatapoints
from pfl.algorithm.base import NNAlgorithmParams
from pfl.algorithm.federated_averaging import FederatedAveraging
from pfl.callback.base import TrainingProcessCallback
from pfl.data.federated_dataset import FederatedDataset
from pfl.data.pytorch import PyTorchTensorDataset
from pfl.hyperparam.base import NNTrainHyperParams
from pfl.metrics import Metrics
from pfl.model.pytorch import PyTorchModel
from torch.nn import functional

from benchmarks.peers import torch_models
from benchmarks.sides.protocol import Plan, Reporter, arguments


def main() -> None:
    """Trains the plan's rounds."""
    plan, reporter, _ = arguments()
    np.random.seed(0)  # pfl seeds its processes from it, and they must agree
    network = torch_models.build(plan)
    kind = type(network)

    class Trained(kind):  # type: ignore[valid-type, misc]
        """The network with the loss that pfl asks for."""

        def loss(self, x: torch.Tensor, y: torch.Tensor, eval: bool = False) -> torch.Tensor:
            return functional.cross_entropy(self(x), y)

        def metrics(self, x: torch.Tensor, y: torch.Tensor, eval: bool = False) -> dict[str, Any]:
            return {}

    network.__class__ = Trained
    model = PyTorchModel(network, torch.optim.SGD, torch.optim.SGD(network.parameters(), 1.0))
    order = count()
    data = FederatedDataset(
        lambda place: PyTorchTensorDataset(torch_models.tensors(*plan.client(*divmod_from_one(place, plan)))),
        lambda: next(order),
    )
    rank = int(os.environ.get("RANK", 0))
    FederatedAveraging().run(
        NNAlgorithmParams(
            central_num_iterations=plan.rounds,
            evaluation_frequency=plan.rounds + 1,
            train_cohort_size=plan.num_clients,
            val_cohort_size=None,
        ),
        SimulatedBackend(training_data=data, val_data=None, postprocessors=[WeightByDatapoints()]),
        model,
        NNTrainHyperParams(
            local_num_epochs=1, local_learning_rate=plan.learning_rate, local_batch_size=plan.batch_size
        ),
        callbacks=[Reporting(reporter, plan)] if rank == 0 else [],
    )
    if rank == 0:
        accuracy, loss = torch_models.evaluate(network, plan)
        dtype = str(next(network.parameters()).dtype).removeprefix("torch.")
        batch = [plan.batch_size, *plan.client(1, 0)[0].shape[1:]]
        reporter.done(accuracy, loss, batch, dtype, ["pfl", "torch"])


def divmod_from_one(place: int, plan: Plan) -> tuple[int, int]:
    """Returns the round, from 1, and the client's place in it, of the client that is sampled as number `place`."""
    round, index = divmod(place, plan.num_clients)
    return round + 1, index


class Reporting(TrainingProcessCallback):
    """Says when a round is done.

    Args:
        reporter: Tells the harness.
        plan: The work.
    """

    def __init__(self, reporter: Reporter, plan: Plan) -> None:
        self._reporter = reporter
        self._plan = plan

    def after_central_iteration(
        self, aggregate_metrics: Metrics, model: Any, *, central_iteration: int
    ) -> tuple[bool, Metrics]:
        """Reports; see the base class."""
        # pfl counts no steps: they follow from the clients' sizes, and the examples are checked.
        steps, _ = self._plan.expected(central_iteration + 1)
        names = {str(name): value for name, value in aggregate_metrics.to_simple_dict().items()}
        (examples,) = {value for name, value in names.items() if "number of data points" in name}
        self._reporter.round(central_iteration + 1, steps, int(examples * self._plan.num_clients))
        return False, Metrics()


if __name__ == "__main__":
    main()
