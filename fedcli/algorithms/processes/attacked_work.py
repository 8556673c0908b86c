"""Clients' work of which some clients do not send the result, but what an attack makes of it."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from fedcli.attacks.base import AttackConfig
from fedcli.runtime.engine.communication import ATTACKS


def attacked_client_work(
    work: tff.learning.templates.ClientWorkProcess, attack: AttackConfig
) -> tff.learning.templates.ClientWorkProcess:
    """Builds the process.

    A client's data is a pair of sequences: that of `work`, and under the name `ATTACKS` one element, whether the client
    attacks. The updates of those that do not are what they would be, bit for bit.

    Args:
        work: What honest clients do.
        attack: What becomes of the updates of the others. Their weights stay.
    """
    state_type, weights_type, data_type = work.next.type_signature.parameter
    result_type = work.next.type_signature.result.result
    both_type = tff.to_type(OrderedDict([("data", data_type.member), (ATTACKS, tff.SequenceType(np.bool_))]))

    @tff.tensorflow.computation(result_type.member, both_type[ATTACKS])
    def sent(result: Any, attacks: Any) -> Any:
        is_attack = attacks.get_single_element()
        update = tf.nest.map_structure(lambda honest: tf.where(is_attack, attack.update(honest), honest), result.update)
        return tff.learning.templates.ClientResult(update=update, update_weight=result.update_weight)

    @tff.federated_computation(state_type, weights_type, tff.FederatedType(both_type, tff.CLIENTS))
    def next_round(state: Any, weights: Any, both: Any) -> Any:
        output = work.next(state, weights, both["data"])
        result = tff.federated_map(sent, (output.result, both[ATTACKS]))
        return tff.templates.MeasuredProcessOutput(output.state, result, output.measurements)

    return tff.learning.templates.ClientWorkProcess(work.initialize, next_round)
