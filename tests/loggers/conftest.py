import pytest

from fedcli.runs.directory import RunDirectory
from fedcli.runs.record import RunRecord


@pytest.fixture
def run(tmp_path):
    """A run directory, with characters that paths and addresses treat in their own ways."""
    run = RunDirectory(tmp_path / "a # sweep" / "3")
    run.path.mkdir(parents=True)
    return run


@pytest.fixture
def record():
    return RunRecord.begin(id="0b6173", command="train", argv=[], overrides=[], seed=1)
