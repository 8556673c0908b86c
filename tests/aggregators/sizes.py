"""What tests of coded aggregators share."""

import numpy as np
import tensorflow_federated as tff

import fedcli.runtime.engine.no_worker  # noqa: F401 (no TFF worker at exit)
from fedcli.aggregators import aggregators
from fedcli.runtime.engine.traffic import communication

#: A client also sends a one, by which the server counts the clients.
COUNT = 32


def fields_with_problems(name, **keys):
    return [field for field, _ in aggregators[name](name=name, **keys).problems()]


def bits_sent(name, shape, **keys):
    """The bits up for one tensor that are known before a round, and those down."""
    factory = aggregators[name](name=name, **keys).build(weighted=False)
    process = factory.create(tff.to_type((np.float32, shape)))
    bits = communication(process.next)
    return bits.aggregated_bits - COUNT, bits.broadcasted_bits
