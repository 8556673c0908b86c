import pytest
from omegaconf import OmegaConf

from fedcli.cli import launchers
from fedcli.cli.launchers import Spread, spread_of
from fedcli.runtime.local import available_cores, cores_shared

_JOBLIB = "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher"
_SUBMITIT = "hydra_plugins.hydra_submitit_launcher.submitit_launcher"


@pytest.mark.parametrize(
    ("launcher", "jobs", "spread"),
    [
        ({"_target_": "hydra._internal.core_plugins.basic_launcher.BasicLauncher"}, 6, Spread(False)),
        ({"_target_": _JOBLIB, "n_jobs": 1}, 6, Spread(False)),
        ({"_target_": _JOBLIB, "n_jobs": 2}, 6, Spread(True, 4)),
        ({"_target_": _JOBLIB, "n_jobs": 2}, None, Spread(True, 4)),
        ({"_target_": _JOBLIB, "n_jobs": 3}, 2, Spread(True, 4)),
        ({"_target_": _JOBLIB, "n_jobs": 20}, 20, Spread(True, 1)),
        ({"_target_": _JOBLIB, "n_jobs": -1}, 20, Spread(True, 1)),
        ({"_target_": _JOBLIB, "n_jobs": -5}, 20, Spread(True, 2)),
        ({"_target_": f"{_SUBMITIT}.LocalLauncher", "cpus_per_task": None}, 4, Spread(True, 2)),
        ({"_target_": f"{_SUBMITIT}.LocalLauncher", "cpus_per_task": 3}, 4, Spread(True, 3)),
        ({"_target_": f"{_SUBMITIT}.SlurmLauncher", "cpus_per_task": 3}, 4, Spread(True, None)),
        ({"_target_": "hydra_plugins.x.RayLauncher", "ray": {"remote": {}}}, 4, Spread(True, 1, True)),
        ({"_target_": "hydra_plugins.x.RayLauncher", "ray": {"remote": {"num_cpus": 2}}}, 4, Spread(True, 2, True)),
        ({"_target_": "hydra_plugins.x.RayLauncher", "ray": {"init": {"address": "auto"}}}, 4, Spread(True, 1)),
        ({"_target_": "somebody.OtherLauncher"}, 4, Spread(True, None)),
    ],
)
def test_each_job_has_its_share_of_eight_cores(monkeypatch, launcher, jobs, spread):
    monkeypatch.setattr(launchers, "available_cores", lambda: 8)
    assert spread_of(OmegaConf.create(launcher), jobs) == spread


def test_a_share_of_the_cores_is_what_there_is():
    cores = available_cores()
    with cores_shared(1):
        assert available_cores() == 1
        with cores_shared(10**6):
            assert available_cores() == cores
        assert available_cores() == 1
    with cores_shared(None):
        assert available_cores() == cores
