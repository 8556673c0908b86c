"""What is refused, and for which runs no epsilon is stated."""

import dataclasses

import pytest

from fedcli.aggregators.ddp import DDP
from fedcli.aggregators.dp import DP
from fedcli.aggregators.mean import Mean
from fedcli.aggregators.secure import Secure
from fedcli.algorithms.fed_avg import FedAvg
from fedcli.algorithms.fed_recon import FedRecon
from fedcli.algorithms.fed_sgd import FedSGD
from fedcli.algorithms.mime_lite import MimeLite
from fedcli.algorithms.scaffold import Scaffold
from fedcli.config.checks import check
from fedcli.config.privacy import PrivacyConfig
from fedcli.config.privacy_coverage import check_privacy, not_covered
from fedcli.config.schema import TrainConfig
from fedcli.datasets.digits import Digits
from fedcli.distributors.broadcast import Broadcast
from fedcli.distributors.federated_dropout import FederatedDropout
from fedcli.errors import ConfigError
from fedcli.keys.sampling import SamplingConfig
from fedcli.models.mlp import MLP
from fedcli.optimizers.sgd import SGD
from fedcli.runtime.local import Local
from fedcli.runtime.tff import TFF


def config(**changes):
    base = TrainConfig(
        dataset=Digits(),
        model=MLP(),
        algorithm=FedAvg(weighted=False),
        client_optimizer=SGD(),
        server_optimizer=SGD(),
        aggregator=DP(),
        distributor=Broadcast(),
        runtime=Local(),
    )
    return dataclasses.replace(base, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"algorithm": FedSGD(weighted=False)},
        {"algorithm": FedRecon(weighted=False)},
        {"sampling": SamplingConfig(scheme="poisson")},
        {"aggregator": DDP()},
        {"aggregator": DP(clipping="fixed")},
    ],
)
def test_covered(changes):
    assert not_covered(config(**changes)) is None
    check_privacy(config(**changes, privacy=PrivacyConfig(max_epsilon=1.0)))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sampling": SamplingConfig(dropout=0.1)}, "who reports"),
        ({"sampling": SamplingConfig(overselect=1.3)}, "who reports"),
        ({"sampling": SamplingConfig(simulate=True)}, "who reports"),
        ({"sampling": SamplingConfig(goal=3)}, "who reports"),
        ({"sampling": SamplingConfig(deadline=9.0)}, "who reports"),
        ({"algorithm": MimeLite(weighted=False)}, "send more than the update"),
        ({"algorithm": Scaffold()}, "send more than the update"),
        ({"distributor": FederatedDropout()}, "sub-models"),
        ({"aggregator": DP(noise_multiplier=0.0)}, "no noise"),
        ({"aggregator": DDP(), "sampling": SamplingConfig(scheme="poisson")}, "number of clients varies"),
        ({"aggregator": DDP(clients_per_round=20)}, "meant for 20"),
    ],
)
def test_not_covered(changes, reason):
    assert reason in not_covered(config(**changes))
    check_privacy(config(**changes))
    with pytest.raises(ConfigError, match=reason):
        check_privacy(config(**changes, privacy=PrivacyConfig(max_epsilon=1.0)))


@pytest.mark.parametrize(
    ("changes", "message", "hint"),
    [
        ({"algorithm": FedAvg()}, "must count the same", "algorithm.weighted=false"),
        ({"aggregator": DDP(), "algorithm": FedAvg()}, "must count the same", "algorithm.weighted=false"),
        ({"aggregator": Secure(), "runtime": TFF()}, "sums securely", "runtime=local"),
        ({"aggregator": DDP(), "runtime": TFF()}, "sums securely", "runtime=local"),
        ({"aggregator": Mean(), "privacy": PrivacyConfig(max_epsilon=1.0)}, "adds no noise", "aggregator=dp"),
        ({"privacy": PrivacyConfig(delta=1.0)}, "privacy.delta", "privacy.delta"),
        ({"privacy": PrivacyConfig(max_epsilon=0.0)}, "privacy.max_epsilon", "privacy.max_epsilon"),
    ],
)
def test_refused(changes, message, hint):
    with pytest.raises(ConfigError, match=message) as caught:
        check(config(**changes))
    assert hint in caught.value.hint


def test_delta_by_default():
    assert PrivacyConfig().delta_of(1000) == pytest.approx(1000**-1.1)
    assert PrivacyConfig(delta=1e-6).delta_of(1000) == 1e-6


def test_problems_name_the_fields():
    few = DP(noise_multiplier=1.0, clipped_count_stddev=0.5)
    assert [field for field, _ in few.problems()] == ["clipped_count_stddev"]
    fields = [field for field, _ in DP(noise_multiplier=-1, clipping="no", clip=0).problems()]
    assert {"noise_multiplier", "clipping", "clip"} <= set(fields)
    assert [field for field, _ in DDP(bits=3, rotation="no").problems()] == ["bits", "rotation"]
    assert not list(DP(noise_multiplier=5.0, clients_per_round=1).problems())
    assert not list(DDP(bits=4).problems())
