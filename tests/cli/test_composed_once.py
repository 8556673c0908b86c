"""Configs of jobs that are composed once."""

import pickle

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from omegaconf import OmegaConf

from fedcli.cli import composed_once
from fedcli.cli.composed_once import ComposedOnce
from fedcli.cli.hydra_bridge import HydraRequest, composed_sweep


@pytest.fixture
def loader():
    with composed_sweep(HydraRequest("train", ["seed=1,2"], "abcdef")) as (plain, master):
        yield ComposedOnce(plain.get_search_path()), plain, master


@pytest.fixture
def composed(monkeypatch):
    """Lists what Hydra composes."""
    made = []
    original = ConfigLoaderImpl.load_sweep_config

    def load(self, master_config, sweep_overrides):
        made.append(list(sweep_overrides))
        return original(self, master_config, sweep_overrides)

    monkeypatch.setattr(ConfigLoaderImpl, "load_sweep_config", load)
    return made


def test_the_second_call_returns_what_the_first_composed(loader, composed):
    once, plain, master = loader
    first, other = once.load_sweep_config(master, ["seed=1"]), once.load_sweep_config(master, ["seed=2"])
    assert (first.seed, other.seed) == (1, 2)
    again = once.load_sweep_config(master, ["seed=1"])
    assert again is first
    assert composed == [["seed=1"], ["seed=2"]]
    assert OmegaConf.to_yaml(again) == OmegaConf.to_yaml(plain.load_sweep_config(master, ["seed=1"]))


def test_a_third_call_gets_a_config_of_its_own(loader):
    # A launcher writes into what it gets.
    once, _, master = loader
    first, _ = once.load_sweep_config(master, ["seed=1"]), once.load_sweep_config(master, ["seed=1"])
    assert once.load_sweep_config(master, ["seed=1"]) is not first


def test_not_all_configs_of_many_jobs_are_kept(loader, composed, monkeypatch):
    monkeypatch.setattr(composed_once, "_MOST", 1)
    once, _, master = loader
    for seed in (1, 2, 1, 2):
        assert once.load_sweep_config(master, [f"seed={seed}"]).seed == seed
    assert composed == [["seed=1"], ["seed=2"], ["seed=2"]]


def test_other_processes_get_a_loader_without_configs(loader, composed):
    once, _, master = loader
    once.load_sweep_config(master, ["seed=1"])
    there = pickle.loads(pickle.dumps(once))  # noqa: S301
    assert there.load_sweep_config(master, ["seed=1"]).seed == 1
    assert composed == [["seed=1"], ["seed=1"]]
