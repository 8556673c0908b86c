"""Presets against the table that they cite: the best rates of Reddi et al., in powers of ten."""

import pytest
from omegaconf import OmegaConf

from fedcli.keys.location import config_folder

#: Learning rate of the clients, of the server, and tau: see the files for where they are from.
PUBLISHED = {
    "emnist_fed_adagrad": (-1.5, -1, -2),
    "emnist_fed_adam": (-1.5, -2.5, -4),
    "emnist_fed_avg": (-1, 0, None),
    "emnist_fed_avgm": (-1.5, -0.5, None),
    "emnist_fed_yogi": (-1.5, -2.5, -4),
    "shakespeare_fed_adagrad": (0, -0.5, -1),
    "shakespeare_fed_adam": (0, -2, -3),
    "shakespeare_fed_avg": (0, 0, None),
    "shakespeare_fed_avgm": (0, -0.5, None),
    "shakespeare_fed_yogi": (0, -2, -3),
}


def test_all_presets_are_compared():
    assert {path.stem for path in (config_folder() / "experiment").glob("*_fed_*.yaml")} == set(PUBLISHED)


@pytest.mark.parametrize("name", PUBLISHED)
def test_rates_are_the_published_ones(name):
    preset = OmegaConf.load(config_folder() / "experiment" / f"{name}.yaml")
    client, server, tau = PUBLISHED[name]
    assert preset.client_optimizer.learning_rate == pytest.approx(10**client, rel=1e-3)
    assert preset.server_optimizer.learning_rate == pytest.approx(10**server, rel=1e-3)
    if tau is not None:
        # Adagrad adds its constant under the root: the square of tau.
        assert preset.server_optimizer.epsilon == pytest.approx(10 ** (2 * tau if "adagrad" in name else tau))
        assert preset.server_optimizer.get("initial_preconditioner_value", 0) == 0
