"""DP-FedAvg against NumPy, and the noise against its stated deviation."""

import math

import numpy as np
import pytest

from fedcli.aggregators.dp import DP
from fedcli.algorithms.fed_avg import FedAvg
from fedcli.models.mlp import MLP
from tests.algorithms.conftest import MODEL
from tests.algorithms.conftest import compiled as compiled
from tests.algorithms.softmax import Model, batches
from tests.runtime.conftest import SPEC, work

COUNTS = [17, 4, 9]
AGGREGATOR = DP(noise_multiplier=0.8, clip=0.55, clients_per_round=5)


@pytest.fixture(scope="module")
def program(compiled):
    return compiled(FedAvg(weighted=False), aggregator=AGGREGATOR)


@pytest.fixture
def run(program):
    """Runs one round of `clients`, from a random model and a state whose leaves are changed by name."""
    from fedcli.runtime.local import LocalRuntime
    from fedcli.training.weights import initial_weights, with_weights

    with LocalRuntime(2, 2) as runtime:
        runtime.load(program)
        start = with_weights(runtime.initial_state((0, 0)), program, initial_weights(MODEL, SPEC, 3))

        def once(clients, seed=(0, 1), **leaves):
            state = list(start)
            for name, value in leaves.items():
                for index, leaf in enumerate(program.state):
                    if leaf.path.startswith("aggregator/") and leaf.path.replace("/", "_").endswith(name):
                        state[index] = np.asarray(value, leaf.dtype)
            result = runtime.run_round(state, clients, seed)
            return Model.of(program, state), Model.of(program, result.state), result

        yield once


def state_of(program, result, name):
    found = [v for leaf, v in zip(program.state, result.state, strict=True) if leaf.path.endswith(name)]
    return float(found[0])


NO_NOISE = {
    "numerator_state_noise_multiplier": 0.0,
    "sum_state_stddev": 0.0,
    "below_estimate_state_numerator_state_stddev": 0.0,
}


def test_a_round_without_its_noise_agrees_with_numpy(program, run):
    """Clipped to the norm, summed, divided by the clients expected; then the norm follows the median."""
    clients = [work(client, 1, count) for client, count in enumerate(COUNTS)]
    before, after, result = run(clients, **NO_NOISE)
    total, norms = before.zero, []
    for client, (one, count) in enumerate(zip(clients, COUNTS, strict=True)):
        model = before
        for batch in batches(client, one, count):
            model -= 0.1 * model.gradient(batch)
        delta = model - before
        norms.append(math.sqrt((delta.kernel**2).sum() + (delta.bias**2).sum()))
        total += min(1.0, 0.55 / norms[-1]) * delta
    assert min(norms) < 0.55 < max(norms)  # else there is nothing to see
    after.assert_close(before + (1 / 5) * total)
    unclipped = sum(norm <= 0.55 for norm in norms)
    # Andrew et al. 2021, algorithm 1: C exp(-rate (b - quantile)), b being the noised share of 5 expected clients; each
    # sends its bit less a half, so that those who are missing count half.
    share = (unclipped - 0.5 * len(COUNTS)) / 5 + 0.5
    assert state_of(program, result, "quantile_estimator_state/current_estimate") == pytest.approx(
        0.55 * math.exp(-0.2 * (share - 0.5)), rel=1e-5
    )


def test_the_noise_has_its_stated_deviation(program, run):
    """Rounds without clients give the noise alone: 20 of 148 numbers.

    Of n normal numbers, the sum of squares over the variance is chi-square with n degrees of freedom; the bounds are
    those that it leaves once in a million times. The seeds are fixed, so that this passes or fails for good.
    """
    from scipy.stats import chi2

    # What the sum may spend of the privacy, when the count of clipped clients has spent its part: theorem 1.
    of_sum = (0.8**-2 - (2 * AGGREGATOR.count_stddev) ** -2) ** -0.5
    stddev = of_sum * 0.55 / 5
    drawn = []
    for round in range(20):
        before, after, _ = run([], seed=(0, round))
        noise = after - before
        drawn.append(np.concatenate([noise.kernel.ravel(), noise.bias.ravel()]))
    numbers = np.concatenate(drawn) / stddev
    low, high = chi2.ppf([5e-7, 1 - 5e-7], numbers.size)
    assert low < (numbers**2).sum() < high
    assert abs(numbers.sum()) < 4.9 * math.sqrt(numbers.size)
    assert abs(np.corrcoef(drawn[0], drawn[1])[0, 1]) < 4.9 / math.sqrt(148)  # each round draws anew


def test_noise_follows_the_seed(run):
    once, again, other = (run([], seed=seed)[1] for seed in ((3, 4), (3, 4), (3, 5)))
    once.assert_close(again, rtol=0, atol=0)
    assert not np.allclose(once.kernel, other.kernel)


def test_the_two_releases_of_a_round_spend_what_is_stated(program):
    """The count's noise and the sum's, composed by dp-accounting, are one Gaussian of the stated multiplier."""
    import dp_accounting
    from dp_accounting.rdp import RdpAccountant

    from fedcli.runtime.engine.sessions import ServerSession

    state = ServerSession(program).call("initialize", (), (0,))
    values = {leaf.path: v for leaf, v in zip(program.state, state, strict=True)}

    def of(name):
        (value,) = (float(v) for path, v in values.items() if path.endswith(name))
        return value

    sum_noise = of("sum_state/stddev") / of("sum_state/l2_norm_clip")
    count_noise = of("below_estimate_state/numerator_state/stddev") / 0.5  # the bit, less a half
    apart = dp_accounting.ComposedDpEvent([dp_accounting.GaussianDpEvent(z) for z in (sum_noise, count_noise)])
    together = dp_accounting.GaussianDpEvent(AGGREGATOR.noise_multiplier)
    epsilons = [RdpAccountant().compose(event, 7).get_epsilon(1e-5) for event in (apart, together)]
    assert epsilons[0] == pytest.approx(epsilons[1], rel=1e-5)
    assert AGGREGATOR.mechanism({}).noise_multiplier == AGGREGATOR.noise_multiplier


def test_state_holds_numbers_only(program):
    assert all(leaf.dtype.kind in "fib" for leaf in program.state)
    assert MLP().kind == SPEC.kind
