import math

import numpy as np
import pytest

from fedcli.keys.sampling import SamplingConfig
from fedcli.training.devices import Device, device, is_lost

CLIENTS = [f"c{i}" for i in range(4000)]
CONFIG = SamplingConfig(seconds_per_example=0.5, compute_sigma=0.7, download_rate=8e6, upload_rate=2e6)


def test_a_device_is_the_same_in_every_round_and_another_for_another_client_or_seed():
    assert device(CONFIG, 0, 1, "a") == device(CONFIG, 0, 9, "a")
    assert device(CONFIG, 0, 1, "a") != device(CONFIG, 0, 1, "b")
    assert device(CONFIG, 0, 1, "a") != device(CONFIG, 1, 1, "a")


def test_jitter_slows_everything_by_a_factor_of_the_round():
    jittery = SamplingConfig(jitter=0.5)
    calm = device(SamplingConfig(), 0, 1, "a")
    factors = []
    for round in (1, 2):
        now = device(jittery, 0, round, "a")
        factors.append(now.seconds_per_example / calm.seconds_per_example)
        assert calm.download_rate / now.download_rate == pytest.approx(factors[-1])
        assert calm.upload_rate / now.upload_rate == pytest.approx(factors[-1])
    assert factors[0] != factors[1]


def test_without_spread_all_devices_are_the_median():
    config = SamplingConfig(compute_sigma=0, bandwidth_sigma=0)
    assert {device(config, 0, 1, client) for client in CLIENTS[:10]} == {Device(0.02, 1e7, 5e6)}


def test_devices_are_log_normal():
    """The mean and standard deviation of 4,000 logarithms, each within 5 standard errors.

    By chance, that fails for one number in 1.7 million; six are tested, so for one seed in 290,000.
    """
    devices = [device(CONFIG, 0, 1, client) for client in CLIENTS]
    for values, median, sigma in (
        ([it.seconds_per_example for it in devices], 0.5, 0.7),
        ([it.download_rate for it in devices], 8e6, 1.0),
        ([it.upload_rate for it in devices], 2e6, 1.0),
    ):
        logs = np.log(values)
        assert abs(logs.mean() - math.log(median)) < 5 * sigma / math.sqrt(len(logs))
        assert abs(logs.std() - sigma) < 5 * sigma / math.sqrt(2 * len(logs))


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.5])
def test_clients_are_lost_at_the_rate_asked_for(rate):
    """20,000 draws are binomial: 5 standard deviations are exceeded by chance for one seed in 1.7 million."""
    lost = [is_lost(rate, 0, round, client) for round in range(5) for client in CLIENTS]
    assert abs(sum(lost) - rate * len(lost)) < 5 * math.sqrt(len(lost) * rate * (1 - rate))


def test_who_is_lost_follows_from_seed_round_and_client():
    def lost(seed, round):
        return [is_lost(0.5, seed, round, client) for client in CLIENTS[:100]]

    assert lost(0, 1) == lost(0, 1)
    assert lost(0, 1) != lost(0, 2)
    assert lost(0, 1) != lost(1, 1)
    assert not any(is_lost(0.0, 0, 1, client) for client in CLIENTS[:100])
    # A higher rate loses the same clients and more.
    more = [is_lost(0.6, 0, 1, client) for client in CLIENTS[:100]]
    assert all(also for some, also in zip(lost(0, 1), more, strict=True) if some)
