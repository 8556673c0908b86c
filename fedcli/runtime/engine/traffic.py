"""Reads what a round communicates from the TFF computation itself, and does not guess it from the model.

Every `federated_broadcast` costs the bits of what it sends, every sum, mean and aggregation the bits of what each
client sends; both times the number of clients. What is summed securely costs as many bits as its numbers need.
"""

from __future__ import annotations

import math

import numpy as np
import tensorflow_federated as tff
from tensorflow_federated.python.core.impl.compiler import building_blocks, intrinsic_defs, tree_analysis

from fedcli.runtime.engine import no_worker  # noqa: F401 (takes effect when it is imported)
from fedcli.runtime.engine.communication import CHANGE, KNOWN, NOT_SENT, REPORTS, STREAM, Communication

_AGGREGATE = intrinsic_defs.FEDERATED_AGGREGATE.uri
_BROADCAST = intrinsic_defs.FEDERATED_BROADCAST.uri
#: Intrinsics whose whole argument is what a client sends.
_SUMS = {
    intrinsic_defs.FEDERATED_MAX.uri,
    intrinsic_defs.FEDERATED_MEAN.uri,
    intrinsic_defs.FEDERATED_MIN.uri,
    intrinsic_defs.FEDERATED_SUM.uri,
    intrinsic_defs.FEDERATED_WEIGHTED_MEAN.uri,
}


def communication(computation: tff.Computation, secure_bits: int = 0) -> Communication:
    """Reads what one call of a federated computation communicates.

    Args:
        computation: For example the `next` of a `tff.learning` process.
        secure_bits: What a client sends to be summed securely, which is known when the computation is compiled.
    """
    broadcasted = changed = known = 0
    aggregated = secure_bits

    def visit(block: building_blocks.ComputationBuildingBlock) -> None:
        nonlocal broadcasted, aggregated, changed, known
        if not isinstance(block, building_blocks.Call) or not isinstance(block.function, building_blocks.Intrinsic):
            return
        sent = block.argument.type_signature if block.argument is not None else None
        if block.function.uri == _BROADCAST:
            broadcasted += bits(sent)
            changed += _bits_of(CHANGE, sent)
            known += _bits_of(KNOWN, sent)
        elif block.function.uri in _SUMS:
            aggregated += bits(sent)
        elif block.function.uri == _AGGREGATE:
            # Of its arguments, the first is what a client sends.
            aggregated += bits(sent[0])

    tree_analysis.visit_postorder(computation.to_building_block(), visit)
    return Communication(broadcasted, aggregated, changed, known)


def bits(tff_type: tff.Type) -> int:
    """Counts the bits of a value of a type: those that are known from its type.

    Raises:
        ValueError: A dimension of something else than a coded stream is not known.
    """
    if isinstance(tff_type, tff.FederatedType):
        return bits(tff_type.member)
    if isinstance(tff_type, tff.StructType):
        elements = tff.structure.to_elements(tff_type)
        return sum(bits(element) for name, element in elements if name not in (KNOWN, NOT_SENT, REPORTS, STREAM))
    if tff_type.shape is None or None in tuple(tff_type.shape):
        raise ValueError(f"the size of {tff_type} depends on the value")
    return math.prod(tff_type.shape) * np.dtype(tff_type.dtype).itemsize * 8


def _bits_of(name: str, tff_type: tff.Type) -> int:
    """Counts the bits of all elements of a name."""
    if isinstance(tff_type, tff.FederatedType):
        return _bits_of(name, tff_type.member)
    if not isinstance(tff_type, tff.StructType):
        return 0
    elements = tff.structure.to_elements(tff_type)
    return sum(bits(element) if found == name else _bits_of(name, element) for found, element in elements)
