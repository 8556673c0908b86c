"""Every aggregator that sends coded messages, in small rounds of federated averaging."""

import functools

import numpy as np
import pytest

from fedcli.aggregators import aggregators
from fedcli.aggregators.coded import CodedAggregator
from fedcli.errors import ConfigError
from fedcli.models.mlp import MLP
from fedcli.runtime.local import LocalRuntime
from tests.runtime.conftest import SPEC, play, sent_bits, work  # noqa: F401 (a fixture)

MODEL = MLP(hidden_units=(8,))
PARAMETERS = 36 * 8 + 8 + 8 * 4 + 4

#: Each of them by its defaults, and what the defaults leave out: state in a coder, streams of tables, other codecs.
DEFAULTS = {name: {} for name, component in aggregators.components.items() if issubclass(component, CodedAggregator)}
CASES = {
    **{name: (name, keys) for name, keys in DEFAULTS.items()},
    "huffman": ("quantize_nonuniform", {"code": "huffman", "bits": 3, "clipping": True, "zeroing": True}),
    "exponential": ("quantize_nonuniform", {"levels": "exponential", "code": "elias", "rotate": True}),
    "random_mask": ("sketch", {"kind": "random_mask", "fraction": 0.5, "bits": 4, "rotate": True}),
}
every_case = pytest.mark.parametrize("case", CASES)


@functools.cache
def program(case):
    from fedcli.algorithms.base import Parts
    from fedcli.algorithms.fed_avg import FedAvg
    from fedcli.distributors.broadcast import Broadcast
    from fedcli.optimizers.sgd import SGD
    from fedcli.runtime.engine.compile import compile_round
    from fedcli.training.learning_model import model_fn

    name, keys = CASES[case]
    aggregator = aggregators[name](name=name, min_elements=100, **keys)
    assert not list(aggregator.problems())
    parts = Parts(model_fn(MODEL, SPEC), SGD(learning_rate=0.1), SGD(learning_rate=1.0), aggregator, Broadcast())
    return compile_round(FedAvg().build(parts))


@pytest.fixture(scope="module")
def tff_runtime(tmp_path_factory):
    from fedcli.runtime.tff import TFF

    with TFF().start(tmp_path_factory.mktemp("worker") / "run.log") as runtime:
        yield runtime


def measured(metrics, name):
    (value,) = [value for path, value in metrics.items() if path.endswith(f"/coding/{name}")]
    return value


def without_sparsity(metrics):
    return {path: value for path, value in metrics.items() if not path.endswith("/sparsity")}


@every_case
def test_threads_and_runtimes_agree(case, play, tff_runtime):  # noqa: F811 (a fixture)
    results = []
    for threads in (1, 2):
        with LocalRuntime(threads, 2) as runtime:
            results.append(play(runtime, program(case), MODEL))
    (state, metrics), (state_of_two, metrics_of_two) = results
    assert metrics == metrics_of_two
    for ours, theirs in zip(state, state_of_two, strict=True):
        np.testing.assert_array_equal(ours, theirs)

    tff_state, tff_metrics = play(tff_runtime, program(case), MODEL)
    for leaf, ours, theirs in zip(program(case).state, state, tff_state, strict=True):
        differs = ~np.isclose(ours, theirs, rtol=1e-3, atol=1e-5)
        # Where a number lies on the border between two levels, its last bit decides.
        assert differs.mean() <= 0.02, leaf.path
    for ours, theirs in zip(metrics, tff_metrics, strict=True):
        # Whether a rotation back leaves zero or next to it is a matter of the last bit too.
        assert measured(ours, "sparsity") == pytest.approx(measured(theirs, "sparsity"), abs=0.02)
        assert without_sparsity(ours) == pytest.approx(without_sparsity(theirs), rel=1e-2)

    assert metrics[0] != metrics[1] != metrics[2]
    for row in metrics:
        assert all(np.isfinite(value) for value in row.values())
        assert 0 < measured(row, "bits_per_element") < 32
        assert measured(row, "distortion") > 0
        assert 0 <= measured(row, "sparsity") <= 1


@every_case
def test_the_bits_are_those_of_what_a_client_sends(case):
    from fedcli.runtime.engine.sessions import ClientSession, ServerSession

    server = ServerSession(program(case))
    state = server.call("initialize", (), (0, 0))
    broadcast = server.call("prepare", state, (0, 1))
    client = ClientSession(program(case))
    sent = client.update(work(0, 1), client.receive(broadcast))
    with LocalRuntime(1, 1) as runtime:
        runtime.load(program(case))
        result = runtime.run_round(state, [work(0, 1)], (0, 1))
    communication = program(case).communication
    assert communication.broadcasted_bits == sum(np.asarray(x).nbytes * 8 for x in broadcast)
    # The update as it was before the coding is with them in the simulation only: it serves to measure the distortion.
    not_sent = 32 * PARAMETERS
    assert sent_bits(program(case), sent) - not_sent == communication.aggregated_bits + measured(
        result.metrics, "stream_bits"
    )


def test_tensors_below_min_elements_are_sent_whole():
    import tensorflow_federated as tff

    factory = aggregators["quantize"](name="quantize", min_elements=100, bits=1).build(weighted=False)
    process = factory.create(tff.to_type([(np.float32, [99]), (np.float32, [100])]))
    from fedcli.runtime.engine.traffic import communication

    # The ends of the range, a bit for each of the 100 numbers (in whole bytes), the others, and a count of clients.
    assert communication(process.next).aggregated_bits == 2 * 32 + 13 * 8 + 99 * 32 + 32


@pytest.mark.parametrize("name", DEFAULTS)
def test_a_model_of_which_nothing_would_be_coded_is_refused(name):
    import tensorflow_federated as tff

    factory = aggregators[name](name=name, min_elements=101).build(weighted=False)
    with pytest.raises(
        ConfigError, match=r"aggregator\.min_elements=101: nothing would be coded.* 100 numbers"
    ) as raised:
        factory.create(tff.to_type([(np.float32, [99]), (np.float32, [100])]))
    assert "aggregator.min_elements=100" in raised.value.hint


@pytest.mark.parametrize("name", DEFAULTS)
def test_problems_name_the_fields(name):
    component = aggregators[name]
    assert not list(component(name=name).problems())
    assert "min_elements" in [field for field, _ in component(name=name, min_elements=0).problems()]
