"""Whatever commands are given over a folder, completed runs stay as they are, byte for byte, and every record is true.

`FEDCLI_SEQUENCES=5000 pytest tests/cli/test_run_folder_property.py` tries more sequences.
"""

import contextlib
import csv
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from typer.testing import CliRunner

from fedcli.cli.main import app
from fedcli.runs.checkpoints import CheckpointStore
from fedcli.runs.directory import RunDirectory, find_runs
from fedcli.runs.events import scalar_rounds
from fedcli.runs.metrics import read_metrics
from fedcli.runs.record import read_record
from fedcli.runs.result import read_result
from fedcli.runs.sweep import SweepDirectory
from tests.cli import cheap_training

SEQUENCES = int(os.environ.get("FEDCLI_SEQUENCES", "200"))
BASE = ["clients_per_round=2", "checkpoint.every=2", "eval.every=1", "-q"]

seeds = st.sampled_from(["seed=1", "seed=2"])
rounds = st.sampled_from(["rounds=1", "rounds=3"])
new_folders = st.sampled_from(
    [["hydra.run.dir=D"], ["hydra.run.dir=E"], ["hydra.run.dir=D/inner"], ["hydra.run.dir=S/0"]]
)
trained = st.builds(lambda *parts: ["train", *BASE, *parts[:2], *parts[2]], seeds, rounds, new_folders)
changed = st.lists(
    st.sampled_from(
        [
            "rounds=1",
            "rounds=3",
            "rounds=5",
            "seed=9",
            "client_optimizer.learning_rate=0.5",
            "checkpoint.keep=1",
            "objective=no/such",
            "rounds=x",
            "nonsense",
        ]
    ),
    max_size=1,
)
resumed = st.builds(
    lambda folder, changes: ["train", "-q", "--resume", folder, *changes],
    st.sampled_from(["D", "E", "S/0", "S"]),
    changed,
)
automatic = st.builds(
    lambda *parts: ["train", *BASE, *parts, "output_dir=.", "hydra.run.dir=F", "--resume", "auto"], seeds, rounds
)
swept = st.builds(
    lambda resume, length: ["train", "-m", *BASE, "seed=1,2", length, "hydra.sweep.dir=S", *resume],
    st.sampled_from([[], [], ["--resume", "S"], ["--resume", "auto"]]),
    rounds,
)
wrong = st.sampled_from(
    [["train", "rounds=-1", "hydra.run.dir=D"], ["train", "--resume", "nowhere"], ["compare", "nowhere"]]
)
commands = st.one_of(trained, trained, resumed, resumed, automatic, swept, wrong)


class Folder(RuleBasedStateMachine):
    """Commands over one folder."""

    @initialize()
    def begin(self):
        self.before = os.getcwd()
        self.folder = tempfile.mkdtemp(prefix="fedcli-folder-")
        os.chdir(self.folder)
        data.version = "first"

    def teardown(self):
        os.chdir(self.before)
        shutil.rmtree(self.folder)

    @rule(command=commands)
    def command(self, command):
        with self.unchanged(command):
            result = CliRunner().invoke(app, command)
            assert result.exit_code in (0, 1, 2), result.output
            assert "Traceback" not in result.output
            if result.exit_code == 2:  # what is refused leaves nothing
                assert files(".") == self.at_first

    @rule(command=st.one_of(trained, resumed, automatic, swept), number=st.integers(1, 150))
    def kill(self, command, number):
        """As by SIGKILL, before the so-manieth step that changes a file."""
        with self.unchanged(command):
            child = os.fork()
            if not child:
                try:
                    die_before(number)
                    CliRunner().invoke(app, command)
                finally:
                    os._exit(0)
            os.waitpid(child, 0)

    @rule(version=st.sampled_from(["first", "second"]))
    def replace_data(self, version):
        data.version = version

    @rule(folder=st.sampled_from(["D", "E", "F"]), keep=st.integers(0, 4))
    def lose_rows(self, folder, keep):
        """As by a file system that lost the end of a file of a run that was killed."""
        run = RunDirectory(folder)
        if run.metrics_csv.is_file() and read_record(run.run_json).status != "completed":
            lines = run.metrics_csv.read_bytes().splitlines(keepends=True)
            run.metrics_csv.write_bytes(b"".join(lines[:keep]))

    @rule()
    def compare(self):
        with self.unchanged(["compare"]):
            result = CliRunner().invoke(app, ["compare", ".", "--json"])
            assert result.exit_code in (0, 2), result.output

    @contextlib.contextmanager
    def unchanged(self, command):
        """Checks that the block changes no completed run but one that it names with more to do; and every record."""
        completed = {str(run.path): files(run.path) for run in completed_runs()}
        self.at_first = files(".")
        yield
        for run, content in completed.items():
            if not may_change(run, command):
                assert files(run) == content, (run, command)
        for run in find_runs(["."]):
            check_run(run)
        check_sweep(SweepDirectory("S"), command)


def may_change(run, command):
    """Tells whether a command names a completed run, or its sweep, with a number of rounds."""
    if "--resume" not in command or not any(word.startswith("rounds=") for word in command):
        return False
    names_sweep = "-m" in command and run.startswith("S/")
    return names_sweep or command[command.index("--resume") + 1] == run


def completed_runs():
    return [run for run in find_runs(["."]) if run.is_recorded and read_record(run.run_json).status == "completed"]


def files(folder):
    return {str(path): path.read_bytes() for path in sorted(Path(folder).rglob("*")) if path.is_file()}


def die_before(number):
    """Ends this process before its so-manieth step that changes a file."""
    steps = iter(range(1, number))

    def dying(real):
        def step(*arguments, **options):
            if next(steps, None) is None:
                os._exit(9)
            return real(*arguments, **options)

        return step

    for name in ("replace", "unlink", "mkdir", "fsync", "pwrite", "ftruncate"):
        setattr(os, name, dying(getattr(os, name)))


def check_run(run):
    """Checks that a run's record is true: its numbers are those of its config, and its status is what its files say."""
    assert run.is_recorded, f"{run} has files, but no run.json"
    record = read_record(run.run_json)
    assert not record.is_alive()
    if not run.config_yaml.is_file():
        assert (record.status, run.files_of_a_run()) == ("running", ["run.json"])
        return
    config = cheap_training.config_of(run.path)
    assert config["seed"] == record.seed
    rows = read_metrics(run.metrics_csv) if run.metrics_csv.is_file() else []
    assert [row["round"] for row in rows] == list(range(len(rows)))
    expected = cheap_training.expected_losses(
        config | {"rounds": max(config["rounds"], len(rows))}, data_of(record, rows)
    )
    for row in rows:
        assert row["eval/loss"] == expected[row["round"]], (run.path, row)
    assert len(record.resumed) == len(record.resumed_versions)
    if record.status != "completed":
        return
    last = config["rounds"]
    assert len(rows) == last + 1
    assert read_result(run.result_json)["rounds"] == last
    assert run.model_keras.read_bytes() == np.float64(expected[last]).tobytes()
    kept = CheckpointStore(run.checkpoints).rounds()
    assert kept[-1] == last
    assert len(kept) <= config["checkpoint"]["keep"]
    assert scalar_rounds(run.events) == set(range(last + 1))
    assert not list(run.path.rglob(".tmp~*"))


def data_of(record, rows):
    return record.inputs["data"]["sha256"] if record.inputs else "unknown" if not rows else pytest.fail("no inputs")


def check_sweep(sweep, command):
    """Checks that sweep.csv says what the jobs' folders say, after a command that was not killed."""
    if not sweep.sweep_csv.is_file():
        return
    with open(sweep.sweep_csv, newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        run = sweep.job(int(row["job"]))
        if row["status"] == "completed" and read_record(run.run_json).status == "completed":
            assert float(row["eval/loss"]) == read_result(run.result_json)["final"]["eval/loss"], command


@pytest.fixture(scope="module", autouse=True)
def cheap():
    global data
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("FEDCLI_") and name != "FEDCLI_SEQUENCES":
                patch.delenv(name)
        data = cheap_training.use(patch)
        yield


TestFolder = Folder.TestCase
TestFolder.settings = settings(
    max_examples=SEQUENCES,
    stateful_step_count=6,
    deadline=None,
    database=None,  # it would be a folder in the folder that is tested
    derandomize=SEQUENCES == 200,
    suppress_health_check=list(HealthCheck),
)
