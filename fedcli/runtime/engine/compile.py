"""Compiles a `tff.learning` process to plain graphs, by TFF's MapReduce backend."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff
from tensorflow_federated.python.tensorflow_libs import serialization_utils

from fedcli.runtime.engine import no_worker  # noqa: F401 (takes effect when it is imported)
from fedcli.runtime.engine.communication import ATTACKS, CHANGE_OF_KEPT, REPORTS
from fedcli.runtime.engine.compiled import CompiledRound, Leaf, Part, Source
from fedcli.runtime.engine.plain_state import is_text, without_texts
from fedcli.runtime.engine.received import split_work
from fedcli.runtime.engine.secure_sums import SecureSum, with_secure_sums
from fedcli.runtime.engine.traffic import communication

_FORM_PARTS = ("prepare", "work", "zero", "accumulate", "merge", "report", "update")


def compile_round(process: tff.learning.templates.LearningProcess) -> CompiledRound:
    """Compiles a process into its MapReduce form."""
    form = tff.backends.mapreduce.get_map_reduce_form_for_computation(process.next, _grappler_config())
    data_type = form.work.type_signature.parameter[0]
    # Beside its batches a client has what it keeps, or whether it attacks, as a sequence of one element.
    data = tff.structure.to_elements(data_type) if isinstance(data_type, tff.StructType) else [(None, data_type)]
    (_, batches), *beside = data
    kept = [one for name, one in beside if name != ATTACKS]
    x, y = leaves(batches.element)
    sent = [leaf.path.split("/") for leaf in leaves(form.work.type_signature.result[0])]
    state_type, metrics_type = form.update.type_signature.result
    initialize = tff.backends.mapreduce.consolidate_and_extract_local_processing(
        tff.backends.mapreduce.get_state_initialization_computation(process.initialize).to_building_block(),
        tf.compat.v1.ConfigProto(),
    )
    secure = secure_sums(form)
    parts = {"initialize": _part(initialize.proto), **{name: part(getattr(form, name)) for name in _FORM_PARTS}}
    parts = with_secure_sums(without_texts(parts, leaves(state_type)), secure)
    return CompiledRound(
        parts={**parts, **split_work(parts["work"], len(data))},
        state=tuple(leaf for leaf in leaves(state_type) if not is_text(leaf.dtype)),
        metrics=tuple(leaves(metrics_type)),
        batch=(x, y),
        communication=communication(process.next, sum(one.bits for one in secure)),
        kept=tuple(leaf for one in kept for leaf in leaves(one.element)),
        changes_of_kept=tuple(i for i, path in enumerate(sent) if CHANGE_OF_KEPT in path),
        reports=next((i for i, path in enumerate(sent) if REPORTS in path), None),
        tells_attackers=len(kept) < len(beside),
        source=Source(process, form),
    )


def _grappler_config() -> tf.compat.v1.ConfigProto:
    """Forgoes TFF's saving of memory, by which activations are computed anew for the gradients: 5 % of a CNN's time."""
    config = tf.compat.v1.ConfigProto()
    rewrite_options = config.graph_options.rewrite_options
    rewrite_options.memory_optimization = rewrite_options.NO_MEM_OPT
    return config


def secure_sums(form: tff.backends.mapreduce.MapReduceForm) -> list[SecureSum]:
    """Lists what the clients of a form sum securely, in the order in which `work` gives it."""
    _, *given = form.work.type_signature.result
    limits = (form.secure_sum_bitwidth, form.secure_sum_max_input, form.secure_modular_sum_modulus)
    by_bits, by_maximum, by_modulus = (
        list(zip(leaves(numbers), _constants(computation, len(leaves(numbers))), strict=True))
        for numbers, computation in zip(given, limits, strict=True)
    )
    return [
        *(SecureSum(leaf, 2**bits - 1) for leaf, bits in by_bits),
        *(SecureSum(leaf, maximum) for leaf, maximum in by_maximum),
        *(SecureSum(leaf, modulus - 1, modulus) for leaf, modulus in by_modulus),
    ]


def _constants(computation: tff.Computation, count: int) -> list[int]:
    """Executes a computation without an argument whose results are known when it is built: integers, so many."""
    if not count:
        return []
    constants = part(computation)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.import_graph_def(constants.graph, name="")
        values = [int(value) for value in session.run(list(constants.outputs))]
    # One stands for all.
    return values * count if len(values) == 1 else values


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
