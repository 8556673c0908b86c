"""Every algorithm with every aggregator, and all pairs of the other components, where something goes wrong in a round.

The cases are generated from the registries: a new component is among them. Each is a run of three rounds: in the first
everybody who can reports, in the second nobody does, in the third some clients drop out. One client has no example, one
has a single example, one has an input that is not a number.

Each case compiles a round, which takes 2 to 9 seconds: the suite has each aggregator with one algorithm, each algorithm
with a few aggregators. `FEDCLI_MATRIX=all uv run pytest tests/matrix` has them all: run it for a new algorithm, a new
aggregator, or a change of what lies between them.
"""

import dataclasses
import functools
import itertools
import math
import os

import numpy as np
import pytest
from allpairspy import AllPairs

from fedcli.aggregators import aggregators
from fedcli.algorithms import algorithms
from fedcli.attacks import attacks
from fedcli.config.schema import CheckpointConfig
from fedcli.distributors import distributors
from fedcli.errors import FedcliError
from fedcli.keys.sampling import SamplingConfig
from fedcli.models.mlp import MLP
from fedcli.optimizers import optimizers
from fedcli.optimizers.sgd import SGD
from fedcli.partitions import partitions
from fedcli.runs.checkpoints import CheckpointStore
from fedcli.runs.directory import RunDirectory
from fedcli.runtime.local import Local
from fedcli.schedules import schedules
from fedcli.training.devices import is_lost
from tests.odd_clients import CONFIG, OddClients, rows, run

#: c1 has no example, c2 has one, c3 has one that is not a number.
DATASET = OddClients(broken=("c3",))
CLIENTS = [f"c{number}" for number in range(6)]
DROPOUT = 0.5
NATURAL = partitions["natural"](name="natural")


@functools.cache
def seed():
    """Returns a seed with which no client drops out of the first round, and all drop out of the second."""

    def fits(number):
        def lost(round):
            return [is_lost(DROPOUT, number, round, client) for client in CLIENTS]

        return not any(lost(1)) and all(lost(2)) and any(lost(3)[2:]) and not all(lost(3)[4:])

    return next(filter(fits, itertools.count()))


def component(registry, name, **keys):
    """Makes a component that suits a tiny model and a round of six clients, with further keys where it has them."""
    kind = registry[name]
    fields = {field.name for field in dataclasses.fields(kind)}
    suited = {
        "min_elements": 1,
        "clients_per_round": 6,
        "num_clients": 6,
        # Reconstruction from every batch: a client of two batches has only one for each purpose.
        "support": "same",
        **keys,
    }
    return kind(**{key: value for key, value in suited.items() if key in fields})


def algorithm(name, aggregator):
    return component(algorithms, name, weighted=aggregator.takes_weights)


def outcome(folder, threads, config):
    """Runs a config.

    Returns:
        The two lines of a refusal, None for none; the rows of metrics.csv; the bytes of the last state, None for none.
    """
    directory = RunDirectory(folder)
    try:
        run(
            folder,
            **config,
            dataset=DATASET,
            rounds=3,
            seed=seed(),
            sampling=SamplingConfig(dropout=DROPOUT),
            runtime=Local(threads=threads),
            checkpoint=CheckpointConfig(every=1),
        )
    except FedcliError as error:
        found = rows(directory) if directory.metrics_csv.exists() else []
        return (error.message, error.hint), found, None
    state = CheckpointStore(directory.checkpoints).latest().tensors
    assert all(np.isfinite(tensor).all() for _, tensor in state if tensor.dtype.kind == "f"), "state"
    return None, rows(directory), [(name, tensor.tobytes()) for name, tensor in state]


def check(tmp_path, config):
    """Runs a config on one thread and on two, and checks what it measured."""
    one, two = (outcome(tmp_path / str(threads), threads, config) for threads in (1, 2))
    assert one == two
    refusal, found, _ = one
    if refusal is not None:
        assert all(line and "\n" not in line for line in refusal), refusal
    for row in found[: None if refusal is None else -1]:
        for name, cell in row.items():
            assert cell == "" or math.isfinite(float(cell)), f"{name} of round {row['round']} is {cell}"
    # The seed is chosen for the clients of the data set: synthetic ones have other names, and drop out in other rounds.
    if refusal is None and config.get("partition", NATURAL) == NATURAL:
        first, nobody = found[1], found[2]
        assert nobody["clients/reported"] == "0"
        assert nobody["train/loss"] == nobody["train/accuracy"] == nobody["train/examples"] == ""
        assert int(first["clients/reported"]) + int(first["clients/left_out"]) == 6
    return refusal, found


def hidden_units(algorithm_name, aggregator_name):
    """Makes a model as small as the two take: `compression` needs a tensor of more than 20,000 numbers."""
    if aggregator_name == "compression":
        return [7000]
    return [2] if algorithm_name == "fed_recon" else []


PRODUCT = [
    (algorithm_name, aggregator_name)
    for row, algorithm_name in enumerate(algorithms.components)
    for column, aggregator_name in enumerate(aggregators.components)
    if os.environ.get("FEDCLI_MATRIX") == "all" or column % len(algorithms.components) == row
]


@pytest.mark.parametrize(("algorithm_name", "aggregator_name"), PRODUCT)
def test_every_algorithm_with_every_aggregator(tmp_path, algorithm_name, aggregator_name):
    aggregator = component(aggregators, aggregator_name)
    refusal, found = check(
        tmp_path,
        {
            "algorithm": algorithm(algorithm_name, aggregator),
            "aggregator": aggregator,
            "model": MLP(hidden_units=hidden_units(algorithm_name, aggregator_name)),
            "client_optimizer": SGD(learning_rate=0.1, momentum=0.9 if algorithm_name == "mime_lite" else 0.0),
        },
    )
    # Clients that make the noise have to add it, even to a zero.
    expected = "0" if aggregator.clients_add_noise else "2"
    if refusal is None:
        assert found[1]["clients/left_out"] == expected
    else:
        assert aggregator.clients_add_noise, refusal


GROUPS = {
    "client_optimizer": optimizers,
    "server_optimizer": optimizers,
    "distributor": distributors,
    "attack": attacks,
    "partition": partitions,
    "client_schedule": schedules,
    "server_schedule": schedules,
}
PAIRS = [dict(zip(GROUPS, case, strict=True)) for case in AllPairs([list(one.components) for one in GROUPS.values()])]


@pytest.mark.parametrize("names", PAIRS, ids=lambda names: "-".join(names.values()))
def test_all_pairs_of_the_other_components(tmp_path, names):
    number = PAIRS.index(names)
    config = {group: component(GROUPS[group], name) for group, name in names.items()}
    takes_all = [name for name in algorithms.components if algorithms[name].takes_sub_models]
    check(
        tmp_path,
        {
            **config,
            # Some algorithm each, so that they meet most other components too.
            "algorithm": component(algorithms, takes_all[number % len(takes_all)]),
            # Fewer tensors compile faster.
            "model": MLP(hidden_units=[2] if config["distributor"].trains_sub_models else []),
        },
    )


def test_the_pairs_are_all_pairs():
    for (one, first), (other, then) in itertools.combinations(GROUPS.items(), 2):
        wanted = set(itertools.product(first.components, then.components))
        assert wanted == {(names[one], names[other]) for names in PAIRS}


def test_the_suite_has_each_algorithm_and_each_aggregator():
    assert {name for name, _ in PRODUCT} == set(algorithms.components)
    assert {name for _, name in PRODUCT} == set(aggregators.components)


def test_the_default_is_among_the_cases():
    assert (CONFIG.algorithm.name, CONFIG.aggregator.name) == ("fed_avg", "mean")
    assert {"scaffold", "mime_lite", "fed_recon"} <= set(algorithms.components)
