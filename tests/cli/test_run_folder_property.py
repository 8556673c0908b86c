"""Whatever commands are given over a folder, completed runs stay as they are, byte for byte, and every record is true.

The suite tries 200 sequences, the same each time. `FEDCLI_SEQUENCES=1000 pytest tests/cli/test_run_folder_property.py`
tries others, as many; a sequence takes about a second.
"""

import contextlib
import csv
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
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
#: In parts, which the suite's two workers share.
PARTS = 4
BASE = ["clients_per_round=2", "checkpoint.every=2", "eval.every=1", "-q"]


def train_in(folder, *changes):
    return ["train", *BASE, "seed=1", *changes, f"hydra.run.dir={folder}"]


def go_on(folder, *changes):
    return ["train", "-q", "--resume", folder, *changes]


def sweep_in(folder, *changes):
    return ["train", "-m", *BASE, "seed=1,2", *changes, f"hydra.sweep.dir={folder}"]


def automatically(*changes):
    return ["train", *BASE, "seed=1", *changes, "output_dir=.", "hydra.run.dir=F", "--resume", "auto"]


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


kills = st.tuples(st.just("kill"), st.one_of(trained, resumed, automatic, swept), st.integers(1, 150))
losses = st.tuples(st.just("lose rows"), st.sampled_from(["D", "E", "F"]), st.integers(0, 4))
replacements = st.tuples(st.just("replace data"), st.sampled_from(["first", "second"]))
given_commands = st.tuples(st.just("command"), commands)
compared = st.just(("command", ["compare", ".", "--json"]))
steps = st.one_of(given_commands, given_commands, given_commands, kills, kills, losses, replacements, compared)


def take(step):
    """Takes one step of a sequence in the current folder."""
    match step:
        case "command", command:
            run_command(command)
        case "kill", command, number:
            kill(command, number)
        case "replace data", version:
            data.version = version
        case "lose rows", folder, keep:
            # As by a file system that lost the end of a file of a run that was killed.
            run = RunDirectory(folder)
            if run.metrics_csv.is_file() and read_record(run.run_json).status != "completed":
                lines = run.metrics_csv.read_bytes().splitlines(keepends=True)
                run.metrics_csv.write_bytes(b"".join(lines[:keep]))


def run_command(command):
    with unchanged(command) as at_first:
        result = CliRunner().invoke(app, command)
        assert result.exit_code in (0, 1, 2), result.output
        assert "Traceback" not in result.output
        if result.exit_code == 2 or command[0] == "compare":  # what is refused, or only reads, leaves nothing
            assert files(".") == at_first


def kill(command, number):
    """Runs a command that ends as by SIGKILL, before its so-manieth step that changes a file."""
    with unchanged(command):
        child = os.fork()
        if not child:
            try:
                die_before(number)
                CliRunner().invoke(app, command)
            finally:
                os._exit(0)
        os.waitpid(child, 0)


@contextlib.contextmanager
def unchanged(command):
    """Checks that the block changes no completed run but one that it names with more to do; and every record."""
    at_first = files(".")
    completed = {str(run.path): files(run.path) for run in completed_runs()}
    yield at_first
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


#: Sequences that random ones hardly meet.
KNOWN = (
    # Other data, other rounds.
    [("command", train_in("D", "rounds=1")), ("replace data", "second"), ("command", go_on("D", "rounds=5"))],
    # A used folder.
    [("command", train_in("D", "rounds=1")), ("command", train_in("D", "rounds=3", "seed=2"))],
    # Rows that are lost with a kill, and a sweep whose job is named.
    [("kill", train_in("D", "rounds=3"), 60), ("lose rows", "D", 2), ("command", go_on("D"))],
    [
        ("command", sweep_in("S", "rounds=1")),
        ("command", go_on("S/0", "rounds=5")),
        ("command", automatically("rounds=3")),
    ],
)


def check(sequence):
    before, folder = os.getcwd(), tempfile.mkdtemp(prefix="fedcli-folder-")
    os.chdir(folder)
    data.version = "first"
    try:
        for step in sequence:
            take(step)
    finally:
        os.chdir(before)
        shutil.rmtree(folder)


@pytest.mark.parametrize("sequence", KNOWN)
def test_known_sequences_leave_completed_runs_and_true_records(sequence):
    check(sequence)


@pytest.mark.parametrize("part", range(PARTS))
def test_random_sequences_leave_completed_runs_and_true_records(part):
    @seed(part if SEQUENCES == 200 else (part, SEQUENCES))
    @settings(
        max_examples=SEQUENCES // PARTS,
        deadline=None,
        database=None,  # it would be a folder in the folder that is tested
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(steps, min_size=2, max_size=6))
    def try_one(sequence):
        check(sequence)

    try_one()
