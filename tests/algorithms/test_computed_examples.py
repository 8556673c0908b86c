"""What an algorithm says of its clients' work, against a model that counts the examples of every gradient."""

import dataclasses
from collections import OrderedDict

import pytest
import tensorflow as tf

from fedcli.aggregators.mean import Mean
from fedcli.algorithms import algorithms
from fedcli.algorithms.base import Parts
from fedcli.distributors.broadcast import Broadcast
from fedcli.models.mlp import MLP
from fedcli.optimizers.sgd import SGD
from fedcli.runtime.local import LocalRuntime
from fedcli.training.learning_model import LearningModel, LearningModelFn
from tests.algorithms.test_scaffold import InMemory
from tests.runtime.conftest import SPEC, work

COUNTS = [17, 4, 9, 1, 0]
CASES = [
    ("fed_avg", {}),
    ("fed_prox", {}),
    ("fed_sgd", {}),
    ("mime_lite", {}),
    ("scaffold", {}),
    ("fed_recon", {"reconstruction_epochs": 3}),
    ("fed_recon", {"reconstruction_epochs": 3, "support": "same"}),
]


class CountingModel(LearningModel):
    """Counts the examples of all forward passes, those after which the algorithm resets its metrics too."""

    def __init__(self, *args, **keys):
        super().__init__(*args, **keys)
        self._passed = tf.Variable(0, dtype=tf.int64, trainable=False)

    @property
    def local_variables(self):
        return [*super().local_variables, self._passed]

    @tf.function
    def forward_pass(self, batch_input, training=True):
        self._passed.assign_add(tf.shape(batch_input[0], out_type=tf.int64)[0])
        return super().forward_pass(batch_input, training)

    @tf.function
    def report_local_unfinalized_metrics(self):
        return OrderedDict(super().report_local_unfinalized_metrics(), passed=[self._passed.read_value()])

    def metric_finalizers(self):
        return OrderedDict(super().metric_finalizers(), passed=lambda sums: sums[0])

    @tf.function
    def reset_metrics(self):
        for variable in super().local_variables:
            variable.assign(tf.zeros_like(variable))


@dataclasses.dataclass(frozen=True)
class CountingModelFn(LearningModelFn):
    """Builds counting models."""

    def __call__(self):
        return CountingModel(self.model.build(self.spec), self.spec)


@pytest.mark.parametrize(("name", "keys"), CASES)
def test_an_algorithm_says_how_many_examples_its_clients_compute(name, keys):
    from fedcli.runtime.engine.compile import compile_round

    algorithm = algorithms[name](name=name, **keys)
    client = SGD(learning_rate=0.1, momentum=0.9 if name == "mime_lite" else 0.0)
    parts = Parts(CountingModelFn(MLP(hidden_units=[8]), SPEC), client, SGD(), Mean(), Broadcast())
    program = compile_round(algorithm.build(parts))
    works = [work(number, 1, count) for number, count in enumerate(COUNTS)]
    if algorithm.clients_keep_state:
        works = [dataclasses.replace(one, kept=InMemory(program)) for one in works]
    with LocalRuntime(1, 2) as runtime:
        runtime.load(program)
        result = runtime.run_round(runtime.initial_state((0, 0)), works, (0, 1))
    told = [
        algorithm.computed_examples(one.order.length(count), one.batch_size)
        for one, count in zip(works, COUNTS, strict=True)
        if one.client not in result.left_out  # such a client has too few batches, and its metrics count nowhere
    ]
    assert result.metrics["client_work/train/passed"] == sum(told)


def test_every_algorithm_is_compared():
    assert {name for name, _ in CASES} == set(algorithms.components)
