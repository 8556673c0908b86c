"""Clients' work as federated averaging has it, but for a correction of each gradient."""

from __future__ import annotations

from typing import Any

import tensorflow_federated as tff

from fedcli.algorithms.processes.local_steps import Correction, Trained, train_locally
from fedcli.algorithms.processes.stateless_work import stateless_client_work
from fedcli.models.base import ModelFn


def corrected_client_work(
    model_fn: ModelFn, optimizer: tff.learning.optimizers.Optimizer, correction: Correction, *, weighted: bool
) -> tff.learning.templates.ClientWorkProcess:
    """Builds the process; see `stateless_client_work`.

    Args:
        model_fn: Builds the model that clients train.
        optimizer: Takes the local steps.
        correction: See `train_locally`.
        weighted: Whether a client's weight is its number of examples; else it is 1.
    """

    def train(model: Any, hparams: Any, weights: Any, batches: Any) -> Trained:
        return train_locally(model, optimizer, hparams, weights, batches, correction)

    return stateless_client_work(model_fn, optimizer, train, weighted=weighted)
