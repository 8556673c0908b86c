"""The distributed Skellam mechanism against NumPy, its noise against its stated deviation."""

import math

import numpy as np
import pytest

from fedcli.aggregators.ddp import DDP
from fedcli.algorithms.fed_avg import FedAvg
from tests.algorithms.conftest import MODEL
from tests.algorithms.conftest import compiled as compiled
from tests.algorithms.softmax import Model, batches
from tests.runtime.conftest import SPEC, work

COUNTS = [17, 4, 9]
AGGREGATOR = DDP(noise_multiplier=0.8, clip=0.55, clients_per_round=3, bits=20)


@pytest.fixture(scope="module")
def program(compiled):
    return compiled(FedAvg(weighted=False), aggregator=AGGREGATOR)


@pytest.fixture
def run(program):
    from fedcli.runtime.local import LocalRuntime
    from fedcli.training.weights import initial_weights, with_weights

    with LocalRuntime(2, 2) as runtime:
        runtime.load(program)
        start = with_weights(runtime.initial_state((0, 0)), program, initial_weights(MODEL, SPEC, 3))

        def once(clients, noise=True):
            state = [
                np.zeros_like(v) if not noise and leaf.path.endswith("local_stddev") else v
                for leaf, v in zip(program.state, start, strict=True)
            ]
            result = runtime.run_round(state, clients, (0, 1))
            return Model.of(program, state), Model.of(program, result.state)

        yield once


def scalars(program):
    from fedcli.runtime.engine.sessions import ServerSession

    state = ServerSession(program).call("initialize", (), (0,))
    return {leaf.path: float(v) for leaf, v in zip(program.state, state, strict=True) if leaf.shape == ()}


def test_a_round_without_its_noise_agrees_with_numpy(program, run):
    clients = [work(client, 1, count) for client, count in enumerate(COUNTS)]
    before, after = run(clients, noise=False)
    total, clipped = before.zero, 0
    for client, (one, count) in enumerate(zip(clients, COUNTS, strict=True)):
        model = before
        for batch in batches(client, one, count):
            model -= 0.1 * model.gradient(batch)
        delta = model - before
        norm = math.sqrt((delta.kernel**2).sum() + (delta.bias**2).sum())
        clipped += norm > 0.55
        total += min(1.0, 0.55 / norm) * delta
    assert 0 < clipped < 3
    # Random rounding on the grid, of which each client's number errs by less than a step, after a rotation of 256.
    (scale,) = (value for path, value in scalars(program).items() if path.endswith("scale_factor"))
    after.assert_close(before + (1 / 3) * total, rtol=0, atol=6 / scale)


def test_the_noise_has_its_stated_deviation(program, run):
    """Clients without examples send noise alone; three share it. Error rate 1e-6, with fixed seeds; see test_dp."""
    from scipy.stats import chi2

    stddev = 0.8 * 0.55 / 3
    drawn = []
    for round in range(20):
        before, after = run([work(client, round, 0) for client in range(3)])
        noise = after - before
        drawn.append(np.concatenate([noise.kernel.ravel(), noise.bias.ravel()]))
    numbers = np.concatenate(drawn) / stddev
    low, high = chi2.ppf([5e-7, 1 - 5e-7], numbers.size)
    assert low < (numbers**2).sum() < high
    assert abs(numbers.sum()) < 4.9 * math.sqrt(numbers.size)
    assert abs(np.corrcoef(drawn[0], drawn[1])[0, 1]) < 4.9 / math.sqrt(148)


def test_noise_follows_the_clients_seeds(run):
    def drawn(round):
        return run([work(client, round, 0) for client in range(3)])[1]

    drawn(1).assert_close(drawn(1), rtol=0, atol=0)
    assert not np.allclose(drawn(1).kernel, drawn(2).kernel)


def test_the_accountant_gets_what_clients_do(program):
    """Norms of a rounded vector of 256 numbers (148, padded), and the noise of three clients, on the scaled grid."""
    found = scalars(program)
    (scale,) = (value for path, value in found.items() if path.endswith("scale_factor"))
    mechanism = AGGREGATOR.mechanism(found)
    assert mechanism.l2_sensitivity == pytest.approx((0.55 + 1e-5) * scale + math.sqrt(256), rel=1e-5)
    assert mechanism.l1_sensitivity == pytest.approx(mechanism.l2_sensitivity * 16, rel=1e-3)
    assert mechanism.variance == pytest.approx((0.8 * 0.55 * scale) ** 2, rel=1e-5)


def test_scale_is_that_of_tffs_own_mechanism(program):
    from tensorflow_federated.python.aggregators import distributed_dp

    local = 0.8 * 0.55 / math.sqrt(3)
    deviations = distributed_dp._clip_prob_to_num_stddevs(1e-4)
    theirs = float(distributed_dp._heuristic_scale_factor(local, 0.55, 20, 3, 256, deviations))
    (ours,) = (value for path, value in scalars(program).items() if path.endswith("scale_factor"))
    assert ours == pytest.approx(theirs, rel=1e-5)


def test_a_client_sends_its_bits(program):
    # 256 numbers of 20 bits; one bit each: clipped or not, the number of clients twice, two ranges; metrics as ever.
    assert program.communication.aggregated_bits - (4 * 32 + 2 * 64) - 256 * 20 in range(1, 12)
