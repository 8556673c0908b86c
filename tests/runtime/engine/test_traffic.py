import numpy as np
import pytest

from fedcli.datasets.base import DataSpec
from fedcli.models.cnn import CNN
from fedcli.models.mlp import MLP
from tests.runtime.conftest import SPEC, sent_bits, work


def cnn_mebibits(aggregator):
    from fedcli.aggregators import aggregators
    from fedcli.algorithms.base import Parts
    from fedcli.algorithms.fed_avg import FedAvg
    from fedcli.distributors.broadcast import Broadcast
    from fedcli.optimizers.sgd import SGD
    from fedcli.runtime.engine.traffic import communication
    from fedcli.training.learning_model import model_fn

    model = model_fn(CNN(), DataSpec("image", (28, 28, 1), "float32", (), 10, 3383))
    parts = Parts(model, SGD(learning_rate=0.1), SGD(learning_rate=1.0), aggregators[aggregator](), Broadcast())
    bits = communication(FedAvg().build(parts).next)
    return bits.broadcasted_bits * 10 / 2**20, bits.aggregated_bits * 10 / 2**20


def test_the_studys_figures():
    """10 clients of the EMNIST CNN, Mibit a round."""
    down, up = cnn_mebibits("mean")
    assert down == pytest.approx(507.62, abs=0.005)
    assert up == pytest.approx(507.62, abs=0.005)
    down, up = cnn_mebibits("compression")
    assert down == pytest.approx(507.62, abs=0.005)
    assert up == pytest.approx(146.46, abs=0.01)


@pytest.mark.parametrize(("aggregator", "hidden"), [("mean", (8,)), ("compression", (600,))])
@pytest.mark.parametrize("weighted", [True, False])
def test_types_agree_with_what_a_client_really_sends(compiled, aggregator, hidden, weighted):
    from fedcli.runtime.engine.sessions import ClientSession, ServerSession

    program = compiled(aggregator, weighted)
    server = ServerSession(program)
    state = server.call("initialize", (), (0,))
    broadcast = server.call("prepare", state, (0,))
    client = ClientSession(program)
    sent = client.update(work(0, 1), client.receive(broadcast))
    assert program.communication.aggregated_bits == sent_bits(program, sent)
    assert program.communication.broadcasted_bits == sum(np.asarray(x).nbytes * 8 for x in broadcast)
    assert MLP(hidden_units=hidden).kind == SPEC.kind


def test_a_size_that_depends_on_the_value_is_refused():
    import tensorflow_federated as tff

    from fedcli.runtime.engine.traffic import bits

    assert bits(tff.to_type([(np.int8, [3]), np.float64])) == 3 * 8 + 64
    with pytest.raises(ValueError, match="depends on the value"):
        bits(tff.TensorType(np.int32, [None]))
