"""Trains a random sub-model in each round: takes it out of the server's model, and puts what it learnt back there.

Caldas et al. 2018, "Expanding the Reach of Federated Learning by Reducing Client Resource Requirements",
https://arxiv.org/abs/1812.07210, section 3.2. There each client trains a sub-model of its own; TFF's broadcast sends
the same to all, so that here a round's clients share one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tensorflow_federated as tff

from fedcli.compression.codec import derived, uniform
from fedcli.compression.run_seed import initial_seed, next_round, round_seed
from fedcli.models.sub_model import SubModel, Units

_PURPOSE = 2


def chosen_units(sub_model: SubModel, random: Any) -> list[tf.Tensor]:
    """Draws a round's units.

    Args:
        sub_model: How many to draw.
        random: What `run_seed.initial_seed` makes, in the state of this round.

    Returns:
        For each hidden layer the kept units, int32 [kept], ascending.
    """
    seed = round_seed(random, _PURPOSE)
    drawn = [uniform([size], derived(seed, layer)) for layer, size in enumerate(sub_model.units)]
    return [tf.sort(tf.argsort(x)[:kept]) for x, kept in zip(drawn, sub_model.kept, strict=True)]


def taken_out(sub_model: SubModel, weights: Sequence[tf.Tensor], units: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Takes a sub-model's trainable weights out of the model's."""
    result = []
    for weight, axes in zip(weights, sub_model.axes, strict=True):
        for number, axis in enumerate(axes):
            if axis is not None:
                weight = tf.gather(weight, _indices(sub_model, axis, units), axis=number)
        result.append(weight)
    return result


def put_back(sub_model: SubModel, weights: Sequence[tf.Tensor], units: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Puts a sub-model's weights where `taken_out` found them, with zeros everywhere else."""
    result = []
    for weight, axes in zip(weights, sub_model.axes, strict=True):
        for number, axis in enumerate(axes):
            if axis is not None:
                weight = _spread(weight, number, _indices(sub_model, axis, units), _size(sub_model, axis))
        result.append(weight)
    return result


def sub_model_distribution(
    sub_model: SubModel,
    weights_type: tff.Type,
    sub_weights_type: tff.Type,
    inner: tff.learning.templates.DistributionProcess,
) -> tff.learning.templates.DistributionProcess:
    """Takes a random sub-model out of the model and distributes it.

    Args:
        sub_model: How the model is thinned.
        weights_type: Type of the model's weights (`tff.learning.models.ModelWeights`).
        sub_weights_type: Type of the sub-model's.
        inner: Distributes the sub-model.
    """
    initial_random = tff.tensorflow.computation(initial_seed)
    random_type = initial_random.type_signature.result

    @tff.tensorflow.computation(random_type, weights_type)
    def take_out(random: Any, model: Any) -> Any:
        trainable = taken_out(sub_model, tf.nest.flatten(model.trainable), chosen_units(sub_model, random))
        return _packed(sub_weights_type, [*trainable, *tf.nest.flatten(model.non_trainable)])

    following = tff.tensorflow.computation(next_round, random_type)

    @tff.federated_computation
    def initialize() -> Any:
        random = tff.federated_eval(initial_random, tff.SERVER)
        return tff.federated_zip(OrderedDict(random=random, inner=inner.initialize()))

    @tff.federated_computation(initialize.type_signature.result, tff.FederatedType(weights_type, tff.SERVER))
    def next_one(state: Any, model: Any) -> Any:
        output = inner.next(state["inner"], tff.federated_map(take_out, (state["random"], model)))
        random = tff.federated_map(following, state["random"])
        return tff.templates.MeasuredProcessOutput(
            state=tff.federated_zip(OrderedDict(random=random, inner=output.state)),
            result=output.result,
            measurements=output.measurements,
        )

    return tff.learning.templates.DistributionProcess(initialize, next_one)


def sub_model_aggregation(
    sub_model: SubModel, update_type: tff.Type, inner: tff.templates.AggregationProcess
) -> tff.templates.AggregationProcess:
    """Aggregates updates of the sub-model and makes of them an update of the model, zero where it was not trained.

    It draws the same units as `sub_model_distribution`, since both have the run's seed and the round in their states.

    Args:
        sub_model: How the model is thinned.
        update_type: Type of an update of the model: of its trainable weights.
        inner: Aggregates updates of the sub-model, by weight.
    """
    initial_random = tff.tensorflow.computation(initial_seed)
    random_type = initial_random.type_signature.result
    _, sub_update_type, weight_type = inner.next.type_signature.parameter

    @tff.tensorflow.computation(random_type, sub_update_type.member)
    def put_in_place(random: Any, update: Any) -> Any:
        whole = put_back(sub_model, tf.nest.flatten(update), chosen_units(sub_model, random))
        return _packed(update_type, whole)

    following = tff.tensorflow.computation(next_round, random_type)

    @tff.federated_computation
    def initialize() -> Any:
        random = tff.federated_eval(initial_random, tff.SERVER)
        return tff.federated_zip(OrderedDict(random=random, inner=inner.initialize()))

    @tff.federated_computation(initialize.type_signature.result, sub_update_type, weight_type)
    def next_one(state: Any, update: Any, weight: Any) -> Any:
        output = inner.next(state["inner"], update, weight)
        random = tff.federated_map(following, state["random"])
        return tff.templates.MeasuredProcessOutput(
            state=tff.federated_zip(OrderedDict(random=random, inner=output.state)),
            result=tff.federated_map(put_in_place, (state["random"], output.result)),
            measurements=output.measurements,
        )

    return tff.templates.AggregationProcess(initialize, next_one)


def _size(sub_model: SubModel, axis: Units) -> int:
    return sub_model.units[axis.layer] * axis.positions


def _indices(sub_model: SubModel, axis: Units, units: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns where along an axis the kept units are, int32 [positions * kept]."""
    starts = tf.range(axis.positions) * sub_model.units[axis.layer]
    return tf.reshape(starts[:, tf.newaxis] + units[axis.layer], [sub_model.kept[axis.layer] * axis.positions])


def _spread(weight: tf.Tensor, axis: int, indices: tf.Tensor, size: int) -> tf.Tensor:
    """The reverse of a gather along an axis, zero where nothing was gathered."""
    count = indices.shape[0]
    # Every place takes its slice, or the slice of zeros behind the last one.
    source = tf.tensor_scatter_nd_update(tf.fill([size], count), indices[:, tf.newaxis], tf.range(count))
    padding = [[0, int(number == axis)] for number in range(weight.shape.rank)]
    return tf.gather(tf.pad(weight, padding), source, axis=axis)


def _packed(tff_type: tff.Type, tensors: list[tf.Tensor]) -> Any:
    return tff.types.type_to_py_container(tff.structure.pack_sequence_as(tff_type, tensors), tff_type)
