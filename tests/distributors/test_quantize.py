"""The coded model, and the coded change for clients that keep the model."""

import numpy as np
import pytest

from fedcli.distributors.quantize import Quantize
from fedcli.errors import ConfigError
from tests.distributors.conftest import first_state
from tests.runtime.conftest import SPEC, work


def echo(distributor):
    """Compiles a process whose clients return the model that they got, which the server then subtracts a part of."""
    import tensorflow as tf
    import tensorflow_federated as tff

    from fedcli.runtime.engine.compile import compile_round
    from fedcli.training.learning_model import model_fn
    from tests.distributors.conftest import MODEL

    make = model_fn(MODEL, SPEC)
    weights_type = tff.learning.models.weights_type_from_model(make)
    templates = tff.learning.templates
    data_type = tff.SequenceType(
        tff.types.tensorflow_to_type(((tf.TensorSpec((None, 6, 6, 1))), tf.TensorSpec((None,), tf.int32)))
    )

    @tff.tensorflow.computation(weights_type, data_type)
    def work(weights, data):
        return templates.ClientResult(update=weights.trainable, update_weight=tf.constant(1.0))

    @tff.federated_computation
    def initialize():
        return tff.federated_value((), tff.SERVER)

    @tff.federated_computation(
        initialize.type_signature.result,
        tff.FederatedType(weights_type, tff.CLIENTS),
        tff.FederatedType(data_type, tff.CLIENTS),
    )
    def next_round(state, weights, data):
        result = tff.federated_map(work, (weights, data))
        return tff.templates.MeasuredProcessOutput(state, result, tff.federated_value((), tff.SERVER))

    process = templates.compose_learning_process(
        tff.tensorflow.computation(lambda: tff.learning.models.ModelWeights.from_model(make())),
        distributor.build(make),
        templates.ClientWorkProcess(initialize, next_round),
        tff.aggregators.MeanFactory().create(weights_type.trainable, tff.TensorType(np.float32)),
        templates.build_apply_optimizer_finalizer(tff.learning.optimizers.build_sgdm(0.1), weights_type),
    )
    return compile_round(process)


def test_stateful_clients_have_exactly_the_model_that_the_server_takes_them_to_have():
    from fedcli.runtime.engine.sessions import ClientSession, ServerSession

    program = echo(
        Quantize(bits=3, rounding="stochastic", rotate=True, code="huffman", min_elements=200, stateful_clients=True)
    )
    server, client = ServerSession(program), ClientSession(program)
    state = first_state(server, program)
    known = [i for i, leaf in enumerate(program.state) if leaf.path.startswith("distributor/known/")]
    for round in range(1, 5):
        model = [state[i] for i in program.model_weights()[0]]
        broadcast = server.call("prepare", state, (round,))
        *received, _ = client.update(work(0, round), client.receive(broadcast))
        total = server.call("accumulate", [*server.call("zero", (), (0,)), *received, np.float32(1)], (0,))
        state = server.call("update", [*state, *server.call("report", total, (0,))], (0,))[: len(state)]
        for index, one in zip(known, received, strict=True):
            np.testing.assert_array_equal(state[index], one)
        equal = [np.array_equal(a, b) for a, b in zip(model, received, strict=True)]
        # The first round gives them the whole model; then the large layer's change is coded.
        assert equal[0] == (round == 1)


def metrics_of(compiled, play, **keys):
    from fedcli.runtime.local import LocalRuntime

    with LocalRuntime(2, 2) as runtime:
        _, metrics = play(runtime, compiled(Quantize(min_elements=200, **keys)), rounds=3)
    return [
        {name.rpartition("/")[2]: value for name, value in row.items() if name.startswith("distributor/coding/")}
        for row in metrics
    ]


def test_more_bits_less_distortion(compiled, play):
    few, more = (metrics_of(compiled, play, bits=bits) for bits in (2, 5))
    for one, other in zip(few, more, strict=True):
        # Three bits more are an eighth of the distance between levels (a little less: 31 against 3 spaces).
        assert other["distortion"] < one["distortion"] / 50
        assert one["bits_per_element"] < other["bits_per_element"] - 2.5


@pytest.mark.parametrize(
    ("keys", "field"),
    [
        ({"bits": 0}, "bits"),
        ({"bits": 17}, "bits"),
        ({"rounding": "up"}, "rounding"),
        ({"code": "zip"}, "code"),
        ({"code": "elias"}, "code"),
        ({"code": "huffman", "bits": 16}, "code"),
        ({"min_elements": 0}, "min_elements"),
        ({"rotate": True, "per_channel": True}, "per_channel"),
        ({"rounding": "dithered", "bits": 1}, "bits"),
    ],
)
def test_values_that_make_no_sense_are_refused(keys, field):
    assert [name for name, _ in Quantize(**keys).problems()] == [field]
    assert not list(Quantize().problems())


@pytest.mark.parametrize("stateful_clients", [False, True])
def test_a_model_of_which_nothing_would_be_coded_is_refused(compiled, stateful_clients):
    with pytest.raises(ConfigError, match=r"distributor\.min_elements=20000: nothing would be coded") as raised:
        compiled(Quantize(stateful_clients=stateful_clients))
    assert "distributor.min_elements=1080" in raised.value.hint
