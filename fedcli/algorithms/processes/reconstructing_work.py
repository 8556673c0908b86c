"""Clients' work of Federated Reconstruction: local weights are learnt anew, then the shared ones are trained.

As `tff.learning.algorithms.build_fed_recon` does it, whose clients learn the learning rate when the graph is built, so
that no schedule could change it, and whose loss knows nothing of padding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow as tf
import tensorflow_federated as tff

from fedcli.algorithms.processes.local_steps import Trained, put_into, take_steps, trained
from fedcli.algorithms.processes.shared_part import SharedPart
from fedcli.algorithms.processes.stateless_work import stateless_client_work
from fedcli.models.base import ModelFn


@dataclass(frozen=True)
class Reconstruction:
    """How a client learns its local weights.

    Attributes:
        part: Says which they are.
        optimizer: Takes the steps.
        epochs: Passes over the batches.
    """

    part: SharedPart
    optimizer: tff.learning.optimizers.Optimizer
    epochs: int

    def __call__(self, model: Any, variables: tuple[tf.Variable, ...], batches: tf.data.Dataset) -> Any:
        """Takes the steps, the shared weights being frozen, and counts nothing of them in the model's metrics.

        Args:
            model: The model, which has the weights that the client got.
            variables: Its trainable variables.
            batches: What to learn from.
        """
        local = self.part.local_of(variables)
        hparams = self.optimizer.get_hparams(self.optimizer.initialize(tf.TensorSpec([], tf.float32)))
        steps = take_steps(model, local, self.optimizer, hparams, batches.repeat(self.epochs))
        model.reset_metrics()
        return steps


def reconstructing_client_work(
    model_fn: ModelFn,
    reconstruction: Reconstruction,
    optimizer: tff.learning.optimizers.Optimizer,
    *,
    split: bool,
    weighted: bool,
) -> tff.learning.templates.ClientWorkProcess:
    """Builds the process, whose updates are of the shared weights; see `stateless_client_work`.

    Args:
        model_fn: Builds the model.
        reconstruction: Learns the local weights.
        optimizer: Trains the shared weights, the local ones being frozen.
        split: Whether the first, third, ... batch is for the reconstruction, and the second, fourth, ... for the
            training, as TFF splits them; else all batches are for both.
        weighted: Whether a client's weight is the number of examples that the shared weights are trained on.
    """
    part = reconstruction.part

    def train(model: Any, hparams: Any, weights: Any, batches: Any) -> Trained:
        variables = put_into(model, weights)
        # Not by a filter: to make an iterator of a dataset with a function costs 5 ms.
        support, query = (batches.shard(2, 0), batches.shard(2, 1)) if split else (batches, batches)
        reconstruction(model, variables, support)
        shared = part.of(variables)
        steps = take_steps(model, shared, optimizer, hparams, query)
        return trained(model, steps, part.of(tf.nest.flatten(weights.trainable)), shared)

    return stateless_client_work(model_fn, optimizer, train, weighted=weighted)


def only_reconstructing_client_work(
    model_fn: ModelFn, reconstruction: Reconstruction
) -> tff.learning.templates.ClientWorkProcess:
    """Builds the process whose updates are of the whole model: of one client, they make its reconstructed model.

    Args:
        model_fn: Builds the model.
        reconstruction: Learns the local weights.
    """

    def train(model: Any, hparams: Any, weights: Any, batches: Any) -> Trained:
        variables = put_into(model, weights)
        steps = reconstruction(model, variables, batches)
        return trained(model, steps, tf.nest.flatten(weights.trainable), variables)

    return stateless_client_work(model_fn, reconstruction.optimizer, train, weighted=False)
