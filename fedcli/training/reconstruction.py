"""Evaluates models of which clients reconstruct a part: each client's model on its own test examples.

As `tff.learning.algorithms.build_fed_recon_eval` does it (Singhal et al. 2021, "Federated Reconstruction: Partially
Local Federated Learning", https://arxiv.org/abs/2102.03448), but that here the two parts of a client's data are its
training and its test examples.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from fedcli.datasets.base import PADDING, Examples, FederatedDataset
from fedcli.datasets.subset import spread_subset
from fedcli.errors import ConfigError
from fedcli.training.evaluation import Evaluation, Evaluator
from fedcli.training.personalization import Personalizer
from fedcli.training.weights import Weights


class ReconstructedEvaluator:
    """Evaluates the models that clients reconstruct, which differ from each other.

    Args:
        dataset: The clients.
        evaluator: Evaluates.
        reconstruct: Makes clients' models.
        max_examples: At most so many test examples: the same number of a fixed choice of clients, or all that one has;
            None for all.

    Raises:
        ConfigError: No client has test examples of its own.
    """

    def __init__(
        self, dataset: FederatedDataset, evaluator: Evaluator, reconstruct: Personalizer, max_examples: int | None
    ) -> None:
        self._dataset = dataset
        self._evaluator = evaluator
        self._reconstruct = reconstruct
        tested = clients_to_reconstruct_for(dataset)
        self._each = None
        if max_examples is not None:
            # As many clients as have so many examples, when all have the same number.
            count = min(-(-max_examples * len(tested) // dataset.test_size()), max_examples, len(tested))
            self._each = max_examples // count
            tested = [tested[i] for i in spread_subset(len(tested), count)]
        self.clients = tested

    def __call__(self, weights: Weights) -> Evaluation:
        """Evaluates a model.

        Args:
            weights: The server's: trainable weights, then other weights. Of those that clients reconstruct, the values
                from which they start.

        Returns:
            Means over all targets of all clients.
        """
        targets: dict[str, int] = {}

        def reconstructed(client: str) -> tuple[Weights, Examples]:
            examples = self._dataset.test_client(client)
            rows = spread_subset(len(examples), self._each)
            examples = Examples(examples.x[rows], examples.y[rows])
            targets[client] = np.count_nonzero(examples.y != PADDING)
            return self.own_model(weights, client), examples

        results = self._evaluator.each([partial(reconstructed, client) for client in self.clients])
        counts = np.array([targets[client] for client in self.clients])
        used = counts > 0
        losses, accuracies = np.array([(one.loss, one.accuracy) for one in results]).T
        return Evaluation(*(float(np.average(values[used], weights=counts[used])) for values in (losses, accuracies)))

    def own_model(self, weights: Weights, client: str) -> Weights:
        """Returns the model that a client reconstructs from its training examples, the same for the same model."""
        # Whatever the round: a curve over the rounds is not to show another order of examples.
        return self._reconstruct(weights, client, 0)

    def close(self) -> None:
        """Ends the threads."""
        self._reconstruct.close()


def clients_to_reconstruct_for(dataset: FederatedDataset) -> list[str]:
    """Returns the clients on whose test examples their models can be evaluated.

    Raises:
        ConfigError: There are none.
    """
    try:
        tested = dataset.tested_clients()
    except ConfigError as error:
        reason = error.message
    else:
        if tested:
            return tested
        reason = "no client has test examples"
    raise ConfigError(
        f"the algorithm is evaluated by models of single clients on their own test examples: {reason}",
        "choose a data set whose clients have test examples, or another algorithm",
    )
