"""A model of which a part is never sent: the server distributes, aggregates and updates the rest, the shared part.

The server's state has the whole model, in the order of its variables: a run's first weights, its checkpoints and its
Keras file are as those of any other run. The local part stays as it was before the first round, and clients start from
it in every round: they have it from the start, as they have the model's code, and it counts nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import tensorflow as tf
import tensorflow_federated as tff

from fedcli.models.base import ModelConfig, ModelFn
from fedcli.models.sub_model import SubModel
from fedcli.runtime.engine.communication import KNOWN

_Weight = TypeVar("_Weight")


class SharedPart:
    """What is shared of a model.

    Args:
        model_fn: Builds the model.
        local: Positions among its trainable weights of those that are not.
    """

    def __init__(self, model_fn: ModelFn, local: Sequence[int]) -> None:
        self._model_fn = model_fn
        self._local = frozenset(local)

    @property
    def model_fn(self) -> ModelFn:
        """Builds the model with the shared weights as its only trainable ones."""
        return _PartialModelFn(self._model_fn, self.of)

    def of(self, trainable: Sequence[_Weight]) -> list[_Weight]:
        """Picks the shared ones of all trainable weights."""
        return [weight for i, weight in enumerate(trainable) if i not in self._local]

    def local_of(self, trainable: Sequence[_Weight]) -> list[_Weight]:
        """Picks the local ones of all trainable weights."""
        return [weight for i, weight in enumerate(trainable) if i in self._local]

    def joined(self, shared: Sequence[_Weight], local: Sequence[_Weight]) -> list[_Weight]:
        """Puts all trainable weights together again."""
        parts = iter(shared), iter(local)
        return [next(parts[i in self._local]) for i in range(len(shared) + len(local))]

    def distribution(
        self, inner: tff.learning.templates.DistributionProcess
    ) -> tff.learning.templates.DistributionProcess:
        """Builds the process that sends the shared part: clients put it together with the local one that they have.

        Args:
            inner: Distributes the shared part.
        """
        weights_type, shared_type = self._types()

        @tff.tensorflow.computation(weights_type)
        def take_apart(weights: Any) -> Any:
            return self._shared(weights), OrderedDict({KNOWN: self.local_of(weights.trainable)})

        @tff.tensorflow.computation(shared_type, take_apart.type_signature.result[1])
        def put_together(shared: Any, known: Any) -> Any:
            return self._whole(shared, list(known[KNOWN]))

        @tff.federated_computation(inner.initialize.type_signature.result, tff.FederatedType(weights_type, tff.SERVER))
        def next_round(state: Any, weights: Any) -> Any:
            shared, known = tff.federated_map(take_apart, weights)
            output = inner.next(state, shared)
            received = tff.federated_map(put_together, (output.result, tff.federated_broadcast(known)))
            return tff.templates.MeasuredProcessOutput(output.state, received, output.measurements)

        return tff.learning.templates.DistributionProcess(inner.initialize, next_round)

    def finalizer(self, inner: tff.learning.templates.FinalizerProcess) -> tff.learning.templates.FinalizerProcess:
        """Builds the process that updates the shared part, and leaves the local one as it is.

        Args:
            inner: Updates the shared part.
        """
        weights_type, shared_type = self._types()
        shared_of = tff.tensorflow.computation(self._shared, weights_type)

        @tff.tensorflow.computation(shared_type, weights_type)
        def put_back(shared: Any, before: Any) -> Any:
            return self._whole(shared, self.local_of(before.trainable))

        state_type, _, update_type = inner.next.type_signature.parameter

        @tff.federated_computation(state_type, tff.FederatedType(weights_type, tff.SERVER), update_type)
        def next_round(state: Any, weights: Any, update: Any) -> Any:
            output = inner.next(state, tff.federated_map(shared_of, weights), update)
            result = tff.federated_map(put_back, (output.result, weights))
            return tff.templates.MeasuredProcessOutput(output.state, result, output.measurements)

        return tff.learning.templates.FinalizerProcess(inner.initialize, next_round)

    def _types(self) -> tuple[tff.Type, tff.Type]:
        weights_type = tff.learning.models.weights_type_from_model
        return weights_type(self._model_fn), weights_type(self.model_fn)

    def _shared(self, weights: Any) -> tff.learning.models.ModelWeights:
        return tff.learning.models.ModelWeights(self.of(weights.trainable), weights.non_trainable)

    def _whole(self, shared: Any, local: Sequence[Any]) -> tff.learning.models.ModelWeights:
        return tff.learning.models.ModelWeights(self.joined(shared.trainable, local), shared.non_trainable)


class _PartialModel(tff.learning.models.VariableModel):
    """A model of which only some variables count as weights."""

    def __init__(
        self, model: tff.learning.models.VariableModel, of: Callable[[Sequence[tf.Variable]], list[tf.Variable]]
    ) -> None:
        self._model = model
        self._of = of

    @property
    def trainable_variables(self) -> list[tf.Variable]:
        return self._of(self._model.trainable_variables)

    @property
    def non_trainable_variables(self) -> list[tf.Variable]:
        return self._model.non_trainable_variables

    @property
    def local_variables(self) -> list[tf.Variable]:
        return self._model.local_variables

    @property
    def input_spec(self) -> Any:
        return self._model.input_spec

    def predict_on_batch(self, x: Any, training: bool = True) -> Any:
        return self._model.predict_on_batch(x, training)

    def forward_pass(self, batch_input: Any, training: bool = True) -> tff.learning.models.BatchOutput:
        return self._model.forward_pass(batch_input, training)

    def report_local_unfinalized_metrics(self) -> OrderedDict[str, Any]:
        return self._model.report_local_unfinalized_metrics()

    def metric_finalizers(self) -> OrderedDict[str, Callable[[Any], Any]]:
        return self._model.metric_finalizers()

    def reset_metrics(self) -> None:
        self._model.reset_metrics()


class _PartialModelFn:
    """See `fedcli.models.base.ModelFn`."""

    def __init__(self, model_fn: ModelFn, of: Callable[[Sequence[tf.Variable]], list[tf.Variable]]) -> None:
        self._model_fn = model_fn
        self._of = of
        self.model = model_fn.model
        self.spec = model_fn.spec

    def of(self, model: ModelConfig | SubModel) -> _PartialModelFn:
        return _PartialModelFn(self._model_fn.of(model), self._of)

    def counting_targets(self) -> _PartialModelFn:
        return _PartialModelFn(self._model_fn.counting_targets(), self._of)

    def __call__(self) -> _PartialModel:
        return _PartialModel(self._model_fn(), self._of)
