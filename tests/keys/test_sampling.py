import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedcli.config.checks import check, check_clients_per_round
from fedcli.errors import ConfigError
from fedcli.keys.sampling import SamplingConfig
from tests.config.test_checks import composed, refusal


def test_nothing_is_simulated_unless_asked_for():
    assert not SamplingConfig().is_simulated
    assert SamplingConfig(simulate=True).is_simulated
    assert SamplingConfig(dropout=0.1).is_simulated
    assert SamplingConfig(upload_rate=1e6).is_simulated
    assert not SamplingConfig(simulate=False, dropout=0.1, overselect=2).is_simulated
    assert SamplingConfig(simulate=False, overselect=2).asked(10) == 10
    assert not SamplingConfig(scheme="poisson").is_simulated
    assert SamplingConfig(scheme="poisson", dropout=0.1).is_simulated


@given(st.integers(1, 10_000), st.integers(100, 400))
def test_asks_the_exact_share_rounded_up(clients_per_round, percent):
    expected = -(-clients_per_round * percent // 100)
    assert SamplingConfig(simulate=True, overselect=percent / 100).asked(clients_per_round) == expected


def test_the_goal_is_clients_per_round_unless_given():
    assert SamplingConfig(dropout=0.1).reporting_goal(7) == 7
    assert SamplingConfig(goal=5).reporting_goal(7) == 5


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("dropout", 1.0),
        ("dropout", -0.1),
        ("dropout", math.nan),
        ("overselect", 0.9),
        ("overselect", math.inf),
        ("overselect", math.nan),
        ("goal", 0),
        ("goal", 11),
        ("deadline", 0.0),
        ("seconds_per_example", 0.0),
        ("download_rate", -1.0),
        ("upload_rate", math.inf),
        ("compute_sigma", -1.0),
        ("bandwidth_sigma", 100.0),
        ("jitter", math.nan),
    ],
)
def test_values_that_make_no_sense_are_refused(key, value):
    error = refusal(f"sampling.{key}={value}")
    assert error.message.startswith(f"sampling.{key}={value}: must be ")
    assert error.hint.startswith(f"set it with sampling.{key}=VALUE")


def test_a_goal_may_use_all_that_are_asked():
    check(composed("sampling.overselect=1.3", "sampling.goal=13"))
    assert "from 1 to the 13 clients" in refusal("sampling.overselect=1.3", "sampling.goal=14").message


def test_no_more_are_asked_than_there_are():
    check(composed("sampling.overselect=1.3"))
    error = refusal("sampling.overselect=1.4")
    assert error.message == "sampling.overselect=1.4 asks 14 clients a round: dataset=digits has 13 clients"
    assert error.hint == "lower it, or clients_per_round"
    with pytest.raises(ConfigError, match=r"overselect=1\.3 asks 13 clients"):
        check_clients_per_round(composed("sampling.overselect=1.3"), 12)


def test_finetune_has_the_same_keys():
    from fedcli.cli.hydra_bridge import HydraRequest, compose
    from fedcli.config.schema import FinetuneConfig

    config = compose(HydraRequest("finetune", [], "abcdef"), FinetuneConfig)
    assert config.sampling == SamplingConfig()
