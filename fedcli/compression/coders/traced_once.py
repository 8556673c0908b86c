"""Graph functions that are traced once, since a coder has hundreds of operations and is called for each tensor."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import tensorflow as tf

Function = Callable[..., Any]


def traced_once(*signature: tf.TensorSpec) -> Callable[[Function], Function]:
    """Makes a function of tensors one that a graph calls, and does not hold once more for each call.

    A `tf.function` alone would be traced again in each graph, and TFF builds a graph for each computation.

    Args:
        signature: What the function takes, with the dimensions that it may not know. A spec of unknown rank stands for
            the argument's own static shape. Arguments are cast to the specs' types.
    """

    def decorate(function: Function) -> Function:
        @functools.cache
        def traced(*specs: tf.TensorSpec) -> Function:
            with tf.Graph().as_default():
                return tf.function(function, input_signature=specs, autograph=False).get_concrete_function()

        parameters = inspect.signature(function)

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            arguments = parameters.bind(*args, **kwargs).args
            tensors = [tf.cast(one, spec.dtype) for one, spec in zip(arguments, signature, strict=True)]
            specs = [
                tf.TensorSpec(tensor.shape if spec.shape.rank is None else spec.shape, spec.dtype)
                for tensor, spec in zip(tensors, signature, strict=True)
            ]
            return traced(*specs)(*tensors)

        return call

    return decorate
