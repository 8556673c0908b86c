"""Compiles a `tff.learning` process to plain graphs, by TFF's MapReduce backend."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff
from tensorflow_federated.python.tensorflow_libs import serialization_utils

from fedcli.runtime.engine import no_worker  # noqa: F401 (takes effect when it is imported)
from fedcli.runtime.engine.communication import ATTACKS, CHANGE_OF_KEPT
from fedcli.runtime.engine.compiled import CompiledRound, Leaf, Part, Source
from fedcli.runtime.engine.received import split_work
from fedcli.runtime.engine.traffic import communication

_FORM_PARTS = ("prepare", "work", "zero", "accumulate", "merge", "report", "update")
#: Elements of the result of `work` that are summed securely. None of fedcli's aggregators uses them yet.
_SECURE_SUMS = slice(1, 4)


def compile_round(process: tff.learning.templates.LearningProcess) -> CompiledRound:
    """Compiles a process into its MapReduce form.

    Raises:
        NotImplementedError: The process sums securely, which no runtime does yet.
    """
    form = tff.backends.mapreduce.get_map_reduce_form_for_computation(process.next)
    if any(leaves(part) for part in form.work.type_signature.result[_SECURE_SUMS]):
        raise NotImplementedError("secure sums are not executed yet")
    data_type = form.work.type_signature.parameter[0]
    # Beside its batches a client has what it keeps, or whether it attacks, as a sequence of one element.
    data = tff.structure.to_elements(data_type) if isinstance(data_type, tff.StructType) else [(None, data_type)]
    (_, batches), *beside = data
    kept = [one for name, one in beside if name != ATTACKS]
    x, y = leaves(batches.element)
    sent = leaves(form.work.type_signature.result[0])
    state_type, metrics_type = form.update.type_signature.result
    initialize = tff.backends.mapreduce.consolidate_and_extract_local_processing(
        tff.backends.mapreduce.get_state_initialization_computation(process.initialize).to_building_block(),
        tf.compat.v1.ConfigProto(),
    )
    parts = {name: part(getattr(form, name)) for name in _FORM_PARTS}
    return CompiledRound(
        parts={"initialize": _part(initialize.proto), **parts, **split_work(parts["work"], len(data))},
        state=tuple(leaves(state_type)),
        metrics=tuple(leaves(metrics_type)),
        batch=(x, y),
        communication=communication(process.next),
        kept=tuple(leaf for one in kept for leaf in leaves(one.element)),
        changes_of_kept=tuple(i for i, leaf in enumerate(sent) if CHANGE_OF_KEPT in leaf.path.split("/")),
        tells_attackers=len(kept) < len(beside),
        source=Source(process, form),
    )


def leaves(tff_type: tff.Type, path: str = "") -> list[Leaf]:
    """Lists the tensors of a structure in TFF's order (`tf.nest` would sort the keys)."""
    if isinstance(tff_type, tff.TensorType):
        shape = None if tff_type.shape is None else tuple(tff_type.shape)
        return [Leaf(path, np.dtype(tff_type.dtype), shape or ())]
    if isinstance(tff_type, tff.FederatedType):
        return leaves(tff_type.member, path)
    elements = tff.structure.to_elements(tff_type)
    prefix = f"{path}/" if path else ""
    return [
        leaf
        for i, (name, element) in enumerate(elements)
        for leaf in leaves(element, f"{prefix}{i if name is None else name}")
    ]


def part(computation: tff.Computation) -> Part:
    """Takes a TensorFlow computation out of TFF."""
    return _part(computation.to_compiled_building_block().proto)


def _part(proto: Any) -> Part:
    computation = proto.tensorflow
    has_input = computation.HasField("parameter")
    return Part(
        graph=serialization_utils.unpack_graph_def(computation.graph_def),
        inputs=tuple(_tensor_names(computation.parameter)) if has_input else (),
        outputs=tuple(_tensor_names(computation.result)),
        initialize_op=computation.initialize_op,
    )


def _tensor_names(binding: Any) -> Iterator[str]:
    kind = binding.WhichOneof("binding")
    if kind == "tensor":
        yield binding.tensor.tensor_name
    elif kind == "sequence":
        yield binding.sequence.variant_tensor_name
    elif kind == "struct":
        for element in binding.struct.element:
            yield from _tensor_names(element)
