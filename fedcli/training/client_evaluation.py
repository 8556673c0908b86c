"""Federated evaluation: the model on each client's own test examples, and how its quality differs between clients."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from fedcli.columns import CLIENTS, PERCENTILES, PERSONAL
from fedcli.config.schema import TrainConfig
from fedcli.datasets.base import Examples, FederatedDataset
from fedcli.datasets.subset import spread_subset
from fedcli.errors import ConfigError
from fedcli.runs.csv_cells import safe_cell
from fedcli.runs.metrics import Row
from fedcli.training.evaluation import Evaluation, Evaluator
from fedcli.training.personalization import Personalizer
from fedcli.training.weights import Weights


@dataclass(frozen=True)
class ClientResults:
    """Evaluations of single clients.

    Attributes:
        round: After which round.
        clients: The clients.
        examples: How many test examples each has.
        model: Evaluations of the global model, or of what clients reconstruct of it.
        personal: Evaluations of each client's own model; None where there was no personalization.
    """

    round: int
    clients: Sequence[str]
    examples: Sequence[int]
    model: Sequence[Evaluation]
    personal: Sequence[Evaluation] | None

    def row(self) -> Row:
        """Returns the columns of metrics.csv: each client counts the same, whatever its number of examples."""
        row: Row = _distribution("clients", self.model)
        if self.personal is not None:
            gains = _accuracies(self.personal) - _accuracies(self.model)
            row |= _distribution("personal", self.personal)
            row |= _percentiles("personal/gain", gains)
            # NaN, of a model that has diverged, is no improvement.
            row["personal/improved"] = float(np.mean(gains > 0))
            row["personal/worsened"] = float(np.mean(gains < 0))
        return row

    def as_csv(self) -> str:
        """Returns a table with a row a client. No spreadsheet takes the name of a client for a formula."""
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        personal = ["personal_loss", "personal_accuracy"] if self.personal is not None else []
        writer.writerow(["client", "round", "test_examples", "loss", "accuracy", *personal])
        for i, client in enumerate(self.clients):
            evaluations = [self.model[i]] if self.personal is None else [self.model[i], self.personal[i]]
            values = [value for one in evaluations for value in (one.loss, one.accuracy)]
            writer.writerow([safe_cell(client), self.round, self.examples[i], *map(repr, values)])
        return file.getvalue()


class ClientEvaluator:
    """Evaluates the global model for each client by itself.

    Args:
        config: The config.
        dataset: The clients.
        evaluator: Evaluates.
        personalizer: Makes the clients' own models; None for no personalization.
        reconstruct: From the global model and a client to the model that the client uses, and begins with to make its
            own; None where that is the global one.

    Raises:
        ConfigError: No client has test examples of its own.
    """

    def __init__(
        self,
        config: TrainConfig,
        dataset: FederatedDataset,
        evaluator: Evaluator,
        personalizer: Personalizer | None,
        reconstruct: Callable[[Weights, str], Weights] | None = None,
    ) -> None:
        tested = dataset.tested_clients()
        if not tested:
            raise ConfigError(
                f"client_eval.every={config.client_eval.every}: none of the {len(dataset.client_ids)} training clients "
                "has test examples of its own",
                "set client_eval.every=null: eval/loss and eval/accuracy are over the clients that only test",
            )
        self.clients = [tested[i] for i in spread_subset(len(tested), config.client_eval.max_clients)]
        self._dataset = dataset
        self._evaluator = evaluator
        self._personalizer = personalizer
        self._reconstruct = reconstruct or (lambda weights, client: weights)

    @property
    def columns(self) -> list[str]:
        """Names what `ClientResults.row` has."""
        return [*CLIENTS, *(PERSONAL if self._personalizer is not None else ())]

    def __call__(self, weights: Weights, round: int) -> ClientResults:
        """Evaluates a model.

        Args:
            weights: Trainable weights, then other weights.
            round: The round after which they are.
        """
        sizes: dict[str, int] = {}

        def used_model(client: str) -> tuple[Weights, Examples]:
            examples = self._dataset.test_client(client)
            sizes[client] = len(examples)
            return self._reconstruct(weights, client), examples

        def own_model(personalize: Personalizer, client: str) -> tuple[Weights, Examples]:
            own = personalize(self._reconstruct(weights, client), client, round)
            return own, self._dataset.test_client(client)

        model = self._evaluator.each([partial(used_model, client) for client in self.clients])
        personal = None
        if self._personalizer is not None:
            personal = self._evaluator.each([partial(own_model, self._personalizer, client) for client in self.clients])
        return ClientResults(round, self.clients, [sizes[client] for client in self.clients], model, personal)

    def close(self) -> None:
        """Ends the threads."""
        if self._personalizer is not None:
            self._personalizer.close()


def _distribution(name: str, evaluations: Sequence[Evaluation]) -> Row:
    accuracies, losses = _accuracies(evaluations), np.array([one.loss for one in evaluations])
    return {
        **_percentiles(f"{name}/accuracy", accuracies),
        f"{name}/accuracy_std": float(np.std(accuracies)),
        f"{name}/accuracy_min": float(np.min(accuracies)),
        f"{name}/loss_mean": float(np.mean(losses)),
        f"{name}/loss_p90": float(np.percentile(losses, 90)),
    }


def _percentiles(name: str, values: NDArray[np.float64]) -> Row:
    """Returns the mean and percentiles over clients (between two of them, in proportion)."""
    return {
        f"{name}_mean": float(np.mean(values)),
        **{f"{name}_p{p}": float(np.percentile(values, p)) for p in PERCENTILES},
    }


def _accuracies(evaluations: Sequence[Evaluation]) -> NDArray[np.float64]:
    return np.array([one.accuracy for one in evaluations])
