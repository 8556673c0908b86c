import numpy as np
import pytest
import tensorflow_federated as tff

import fedcli.runtime.engine.no_worker  # noqa: F401 (no TFF worker at exit)
from fedcli.aggregators import aggregators
from fedcli.errors import ConfigError
from fedcli.runtime.engine.traffic import communication

SMALL = tff.to_type((np.float32, [10]))
LARGE = tff.to_type((np.float32, [30_000]))


def process(name, value_type=SMALL, *, weighted=False, **keys):
    factory = aggregators[name](name=name, **keys).build(weighted=weighted)
    return factory.create(value_type, tff.to_type(np.float32)) if weighted else factory.create(value_type)


KINDS = [
    (name, weighted)
    for name, component in aggregators.components.items()
    for weighted in ([True, False] if component.takes_weights else [False])
]


@pytest.mark.parametrize(("name", "weighted"), KINDS)
def test_builds_a_factory_of_its_kind(name, weighted):
    factory = aggregators[name](name=name).build(weighted=weighted)
    kind = tff.aggregators.WeightedAggregationFactory if weighted else tff.aggregators.UnweightedAggregationFactory
    assert isinstance(factory, kind)


@pytest.mark.parametrize(("name", "weighted"), KINDS)
def test_gives_the_server_what_has_the_form_of_an_update(name, weighted):
    aggregation = process(name, LARGE, weighted=weighted)
    assert isinstance(aggregation, tff.templates.AggregationProcess)
    assert aggregation.is_weighted == weighted
    assert aggregation.next.type_signature.result.result.member == LARGE


def bits_sent(name, value_type):
    return communication(process(name, value_type).next).aggregated_bits


def test_mean_sends_32_bits_a_number():
    # And one more, by which the server counts the clients.
    assert bits_sent("mean", SMALL) == 32 * (10 + 1)
    assert bits_sent("mean", LARGE) == 32 * (30_000 + 1)


def test_compression_quantizes_large_tensors_only():
    # 28 of each 32 bits hold 8-bit values: 9.14 bits a number.
    assert bits_sent("compression", LARGE) == pytest.approx(32 / 28 * 8 * 30_000, rel=0.01)
    both = tff.to_type([(np.float32, [30_000]), (np.float32, [20_000])])
    assert bits_sent("compression", both) == bits_sent("compression", LARGE) + 32 * 20_000


@pytest.mark.parametrize("weighted", [True, False])
def test_compression_refuses_a_model_of_which_it_would_compress_nothing(weighted):
    with pytest.raises(ConfigError, match="nothing would be compressed") as raised:
        process("compression", tff.to_type((np.float32, [20_000])), weighted=weighted)
    assert "aggregator.min_elements=20000" in raised.value.hint


@pytest.mark.parametrize("key", ["zeroing", "clipping"])
def test_compression_without_one_of_its_parts_measures_less(key):
    def metrics(**keys):
        return str(process("compression", LARGE, **keys).next.type_signature.result.measurements)

    assert key in metrics()
    assert key not in metrics(**{key: False})
