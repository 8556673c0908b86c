"""Which tensors of an update are coded, and how they lie in vectors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from fedcli.errors import ConfigError


class Layout:
    """Splits a structure of tensors into vectors that are coded and tensors that are sent whole, and joins them again.

    Args:
        value_type: The structure's type.
        min_elements: Tensors of fewer numbers are sent whole: their share of the bits is small, their share of the
            model's accuracy is not (the compression study).
        per_tensor: Whether each coded tensor is a vector of its own, or all of them together are one.
        group: The config group that the coding belongs to, `aggregator` or `distributor`, for errors.

    Attributes:
        vectors: Shape of the coded tensors in each vector.
        num_elements: Numbers in the whole structure.

    Raises:
        ConfigError: Every tensor has fewer numbers, so that nothing would be coded.
    """

    def __init__(self, value_type: tff.Type, min_elements: int, per_tensor: bool, *, group: str = "aggregator") -> None:
        self._type = value_type
        tensors = tensors_of(value_type)
        self._is_coded = [_is_float(tensor) and _size(tensor.shape) >= min_elements for tensor in tensors]
        self._specs = [(tf.as_dtype(tensor.dtype), tuple(tensor.shape)) for tensor in tensors]
        coded = [shape for (_, shape), is_coded in zip(self._specs, self._is_coded, strict=True) if is_coded]
        if not coded:
            raise _nothing_coded(group, min_elements, max((_size(shape) for _, shape in self._specs), default=0))
        self.vectors: list[list[tuple[int, ...]]] = [[shape] for shape in coded] if per_tensor else [coded]
        self.num_elements = sum(_size(tensor.shape) for tensor in tensors)

    @property
    def sizes(self) -> list[int]:
        """Numbers in each vector."""
        return [sum(map(_size, shapes)) for shapes in self.vectors]

    def split(self, value: Any) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        """Returns the vectors, float32 [size] each, and the tensors that are sent whole."""
        tensors = self._flatten(value)
        coded = [tf.reshape(x, [-1]) for x, is_coded in zip(tensors, self._is_coded, strict=True) if is_coded]
        whole = [x for x, is_coded in zip(tensors, self._is_coded, strict=True) if not is_coded]
        vectors, rest = [], coded
        for shapes in self.vectors:
            mine, rest = rest[: len(shapes)], rest[len(shapes) :]
            vectors.append(mine[0] if len(mine) == 1 else tf.concat(mine, 0))
        return vectors, whole

    def join(self, vectors: Sequence[tf.Tensor], whole: Sequence[tf.Tensor]) -> Any:
        """Puts together what `split` took apart."""
        coded = [
            part
            for vector, shapes in zip(vectors, self.vectors, strict=True)
            for part in tf.split(vector, [_size(shape) for shape in shapes])
        ]
        from_coded, from_whole = iter(coded), iter(whole)
        tensors = [
            tf.reshape(next(from_coded), shape) if is_coded else next(from_whole)
            for (_, shape), is_coded in zip(self._specs, self._is_coded, strict=True)
        ]
        return self._pack(tensors)

    def zeros(self) -> Any:
        """Makes the structure with zero everywhere."""
        return self._pack([tf.zeros(shape, dtype) for dtype, shape in self._specs])

    def _flatten(self, value: Any) -> list[tf.Tensor]:
        if not isinstance(self._type, tff.StructType):
            return [value]
        return tff.structure.flatten(tff.structure.from_container(value, recursive=True))

    def _pack(self, tensors: list[tf.Tensor]) -> Any:
        if not isinstance(self._type, tff.StructType):
            return tensors[0]
        packed = tff.structure.pack_sequence_as(self._type, tensors)
        return tff.types.type_to_py_container(packed, self._type)


def tensors_of(value_type: tff.Type) -> list[tff.TensorType]:
    """Lists the types of a structure's tensors, or of the one tensor that it is."""
    return tff.structure.flatten(value_type) if isinstance(value_type, tff.StructType) else [value_type]


def _nothing_coded(group: str, min_elements: int, largest: int) -> ConfigError:
    """Says that all tensors are too small: the run would send 32 bits a number under the name of a coding."""
    key = f"{group}.min_elements"
    return ConfigError(
        f"{key}={min_elements}: nothing would be coded, since the largest tensor of the model has {largest} numbers",
        f"set {key}={largest} or less, or choose {group}={'mean' if group == 'aggregator' else 'broadcast'}",
    )


def _is_float(tensor: tff.TensorType) -> bool:
    return np.dtype(tensor.dtype) == np.float32


def _size(shape: Sequence[int]) -> int:
    return math.prod(shape)
