"""Every column that fedcli writes is declared, with the direction that is better."""

import pytest
import tensorflow as tf
import tensorflow_federated as tff

from fedcli.aggregators import aggregators
from fedcli.columns import CLIENTS, COMMON, PERSONAL, RUN, Direction
from fedcli.directions import direction
from fedcli.distributors import distributors
from fedcli.training.client_evaluation import ClientResults
from fedcli.training.evaluation import Evaluation
from tests.aggregators.test_aggregators import KINDS, LARGE, process


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("eval/accuracy", "maximize"),
        ("eval/loss", "minimize"),
        ("seconds", "minimize"),
        ("epsilon", "minimize"),
        ("simulated_seconds", "minimize"),
        ("aggregated_bits_round", "minimize"),
        ("clients/accuracy_p10", "maximize"),
        ("clients/accuracy_std", "minimize"),
        ("clients/accuracy_min", "maximize"),
        ("clients/loss_p90", "minimize"),
        ("clients/dropped", "minimize"),
        ("clients/cut", "minimize"),
        ("personal/improved", "maximize"),
        ("personal/worsened", "minimize"),
        ("personal/gain_mean", "maximize"),
        ("aggregator/distortion", "minimize"),
        ("aggregator/bits_per_element", "minimize"),
        ("aggregator/left_out", "minimize"),
        ("aggregator/sparsity", None),
        ("aggregator/zeroing/clipped_count", None),
        ("distributor/distortion", "minimize"),
        ("finalizer/update_non_finite", "minimize"),
        ("train/examples", None),
        ("eval/guessing_accuracy", None),
        # Nobody declares them: that a name sounds like a loss or an accuracy says nothing.
        ("aggregator/error_of_somebody", None),
        ("somebody/loss", None),
        ("loss", None),
    ],
)
def test_a_metric_has_the_direction_of_its_declaration(column, expected):
    assert direction(column) == expected


def test_the_larger_of_signed_values_is_better():
    assert Direction.MINIMIZE.sign * 0.1 > Direction.MINIMIZE.sign * 0.2
    assert Direction.MAXIMIZE.sign * 0.2 > Direction.MAXIMIZE.sign * 0.1


def leaves(measurements):
    """Lists the last names of TFF's measurements, which lie on the server."""

    def walk(part, name):
        if isinstance(part, tff.StructType):
            for key, inner in tff.structure.to_elements(part):
                yield from walk(inner, key)
        else:
            yield name

    return list(walk(measurements.member, None)) if isinstance(measurements.member, tff.StructType) else []


@pytest.mark.parametrize(("name", "weighted"), KINDS)
def test_aggregators_declare_what_they_measure(name, weighted):
    measured = leaves(process(name, LARGE, weighted=weighted).next.type_signature.result.measurements)
    assert set(measured) <= set(aggregators[name].columns), measured


def test_coded_aggregators_that_bound_declare_that_too():
    bounded = process("entropy", LARGE, zeroing=True, clipping=True).next.type_signature.result.measurements
    assert (
        {"zeroed_count", "clipped_count", "distortion"} <= set(leaves(bounded)) <= set(aggregators["entropy"].columns)
    )


@pytest.mark.parametrize("name", distributors.components)
def test_distributors_declare_what_they_measure(name):
    def model_fn():
        model = tf.keras.Sequential([tf.keras.layers.Dense(200, input_shape=(784,)), tf.keras.layers.Dense(10)])
        return tff.learning.models.from_keras_model(
            model,
            loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            input_spec=(tf.TensorSpec([None, 784]), tf.TensorSpec([None], tf.int32)),
        )

    if distributors[name].trains_sub_models:
        pytest.skip("its models are not of Keras; it measures nothing")
    measured = leaves(distributors[name](name=name).build(model_fn).next.type_signature.result.measurements)
    assert set(measured) <= set(distributors[name].columns), measured


def test_components_of_a_group_agree_on_the_directions():
    for registry in (aggregators, distributors):
        directions = {}
        for component in registry.components.values():
            for column, better in component.columns.items():
                assert directions.setdefault(column, better) == better, column


def test_the_evaluation_of_clients_writes_what_is_declared_in_its_order():
    one = [Evaluation(0.0, 0.0)]
    assert list(ClientResults(0, ["a"], [1], one, None).row()) == list(CLIENTS)
    assert list(ClientResults(0, ["a"], [1], one, one).row()) == [*CLIENTS, *PERSONAL]


def test_every_run_begins_with_the_common_columns():
    assert list(RUN)[: len(COMMON)] == list(COMMON)
    assert next(iter(COMMON)) == "round"
