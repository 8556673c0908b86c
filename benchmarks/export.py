"""Writes the plan of a workload: `python -m benchmarks.export FOLDER`, where FOLDER has its `plan.json`.

In a process of its own, so that the harness holds neither TensorFlow nor data while it measures.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np

from benchmarks.sides.protocol import ARRAYS, SETTINGS
from benchmarks.workload import Workload
from fedcli.datasets import datasets
from fedcli.datasets.base import DatasetConfig, FederatedDataset
from fedcli.models import models
from fedcli.runtime.tensorflow_settings import set_up_tensorflow
from fedcli.training.sampling import ExampleOrder, sample_clients, seed_words


def main() -> None:
    """Reads the workload, writes the arrays and the clients that take part."""
    folder = Path(sys.argv[1])
    settings = json.loads((folder / SETTINGS).read_text())
    workload = Workload(**settings)
    set_up_tensorflow()
    config = _dataset_config(workload)
    with config.load() as everyone:
        participants = _participants(workload, everyone)
    config = config.replace(clients=participants)
    with config.load() as dataset:
        arrays = _rounds(workload, config, dataset) | _test(workload, config) | _weights(workload, dataset)
    # Not compressed: reading it must not take a side's time.
    np.savez(folder / ARRAYS, **arrays)
    (folder / SETTINGS).write_text(json.dumps({**asdict(workload), "participants": participants}))


def _dataset_config(workload: Workload) -> DatasetConfig:
    return datasets[workload.dataset](
        name=workload.dataset,
        batch_size=workload.batch_size,
        max_batches_per_client=workload.max_batches,
        drop_remainder=workload.model == "char_rnn",
    )


def _participants(workload: Workload, dataset: FederatedDataset) -> list[str] | None:
    """Returns the clients that have enough, at most ten times those of a round: they are named on a command line."""
    if not workload.min_examples:
        return None
    able = [client for client, size in dataset.sizes().items() if size >= workload.min_examples]
    return able[: 10 * workload.clients]


def _rounds(workload: Workload, config: DatasetConfig, dataset: FederatedDataset) -> dict[str, np.ndarray]:
    """Puts the examples of all clients that are sampled into one array, and each client's order into another."""
    xs, ys, first = [], [], {}
    orders, bounds, count, used = [], [], 0, 0
    for round in range(1, workload.rounds + 1):
        for client in sample_clients(dataset.client_ids, workload.clients, workload.seed, round):
            if client not in first:
                examples = dataset.client(client)
                first[client] = (count, len(examples))
                xs.append(examples.x)
                ys.append(examples.y)
                count += len(examples)
            start, size = first[client]
            order = start + ExampleOrder.of(config, seed_words(workload.seed, "examples", round, client))(size)
            orders.append(order)
            bounds.append((used, used + len(order)))
            used += len(order)
    return {
        "x": np.concatenate(xs),
        "y": np.concatenate(ys),
        "order": np.concatenate(orders),
        "bounds": np.array(bounds, np.int64),
        "classes": np.array(dataset.spec.num_classes),
    }


def _test(workload: Workload, config: DatasetConfig) -> dict[str, np.ndarray]:
    # Of all clients, as `fedcli train` evaluates.
    with config.replace(clients=None).load() as dataset:
        test = dataset.test(workload.max_test)
    return {"test_x": test.x, "test_y": test.y}


def _weights(workload: Workload, dataset: FederatedDataset) -> dict[str, np.ndarray]:
    from fedcli.training.weights import initial_weights  # imports TensorFlow

    options = {"reset_after": workload.reset_after} if workload.model == "char_rnn" else {}
    weights = initial_weights(models[workload.model](name=workload.model, **options), dataset.spec, workload.seed)
    return {"num_weights": np.array(len(weights)), **{f"weight_{i}": np.asarray(w) for i, w in enumerate(weights)}}


if __name__ == "__main__":
    main()
