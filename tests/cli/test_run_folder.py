"""A run's folder is sacred: what is refused, or has nothing to do, changes no byte of it."""

import json
import shutil
import socket
from pathlib import Path

import pytest

from tests.cli import cheap_training
from tests.cli.test_train import record
from tests.conftest import metrics, table

TINY = ["model=mlp", "model.hidden_units=[8]", "clients_per_round=2", "client_optimizer.learning_rate=0.3"]


@pytest.fixture(autouse=True)
def data(monkeypatch):
    """The folder is what matters here, not the training."""
    return cheap_training.use(monkeypatch)


def files(folder):
    """Returns the content of each file below a folder."""
    return {path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def two_lines(result):
    lines = result.stderr.splitlines()
    return len(lines) >= 2 and lines[-2].startswith("error: ") and lines[-1].startswith("  try: ")


def test_a_new_run_never_goes_into_a_folder_that_holds_one(train, invoke):
    run = train("rounds=1", "hydra.run.dir=D")
    before = files("D")
    for arguments in (["seed=5"], ["model.hidden_units=[4]"], []):
        result = train("rounds=1", *arguments, "hydra.run.dir=D", code=2)
        assert "hydra.run.dir=D: the folder holds a run already" in result.stderr
        assert f"fedcli train --resume {run}" in result.stderr
        assert two_lines(result)
    # Nor inside of it, nor a sweep in its place.
    assert "inside of D" in train("rounds=1", "hydra.run.dir=D/inner", code=2).stderr
    assert "inside of D" in train("rounds=1", "output_dir=D/outputs", code=2).stderr
    assert "holds a run already" in train("-m", "seed=1,2", "hydra.sweep.dir=D", code=2).stderr
    assert "inside of D" in train("-m", "seed=1,2", "hydra.sweep.dir=D/sweep", code=2).stderr
    assert files("D") == before


@pytest.mark.parametrize("name", ["config.yaml", "model.keras", "result.json", "checkpoints/round_000001.npz"])
def test_what_a_run_would_overwrite_or_take_for_its_own_is_not_overwritten(train, name):
    file = Path("D", name)
    file.parent.mkdir(parents=True)
    file.write_text("dear")
    result = train("rounds=1", "hydra.run.dir=D", code=2)
    assert "the folder holds files of a run already" in result.stderr
    assert files("D") == {file: b"dear"}


def test_a_folder_inside_of_a_sweep_is_refused(train, invoke):
    assert invoke("train", "-m", *TINY, "rounds=0", "seed=1,2", "hydra.sweep.dir=S").exit_code == 0
    before = files("S")
    assert "holds a sweep already" in train("rounds=0", "hydra.run.dir=S", code=2).stderr
    assert "inside of S" in train("rounds=0", "hydra.run.dir=S/2", code=2).stderr
    assert "inside of S" in train("-m", "seed=1,2", "hydra.sweep.dir=S/inner", code=2).stderr
    assert files("S") == before
    train("rounds=0", "hydra.run.dir=S/beside")


def test_another_programs_files_above_do_not_matter(train):
    Path("run.json").write_text('{"name": "not ours"}')
    Path("sweep.json").write_text("[]")
    train("rounds=0", "hydra.run.dir=D")


def test_a_wrong_resume_leaves_every_file_as_it_was(train):
    run = train("rounds=3", "checkpoint.every=1")
    before = files(run)
    for arguments, problem in (
        (["rounds=2"], "rounds=2: the run has done 3 rounds already"),
        (["rounds=5", "seed=3"], "seed=3"),
        (["rounds=5", "objective=no/such"], "no/such"),
    ):
        result = train("--resume", str(run), *arguments, code=2)
        assert problem in result.stderr
        assert two_lines(result)
        assert files(run) == before
    # What only the folder itself tells.
    rows = run / "metrics.csv"
    rows.write_bytes(rows.read_bytes().replace(b"train/examples", b"other/name", 1))
    before = files(run)
    result = train("--resume", str(run), "rounds=5", code=1)
    assert "other/name" in result.stderr
    assert files(run) == before


def test_a_completed_run_with_nothing_to_do_is_left_as_it_is(train, invoke):
    run = train("rounds=1")
    before = files(run)
    result = invoke("train", "--resume", str(run), "checkpoint.keep=3", "--json")
    assert result.exit_code == 0, result.stderr
    assert "nothing to do" in result.stderr
    assert json.loads(result.stdout)["rounds"] == 1
    assert files(run) == before


def test_auto_leaves_completed_runs_and_jobs_of_sweeps_alone(train, invoke):
    assert invoke("train", "-m", *TINY, "rounds=1", "seed=1,2").exit_code == 0
    run = train("rounds=1", "seed=1")
    before = files("outputs")
    new = train("rounds=2", "seed=1", "--resume", "auto")
    assert new != run
    left = files("outputs")
    assert {path: left[path] for path in before} == before
    # A job that was killed belongs to its sweep too.
    (job,) = Path("outputs").glob("*/*/0")
    (job / "run.json").write_text(json.dumps({**record(job), "status": "interrupted"}))
    before = files(job)
    assert train("rounds=3", "seed=1", "--resume", "auto") != job
    assert files(job) == before
    # A sweep that is completed is not made longer, unless it is named.
    result = invoke("train", "-m", *TINY, "rounds=2", "seed=1,2", "--resume", "auto")
    assert result.exit_code == 0, result.stderr
    assert "starting a new one" in result.stderr
    assert files(job) == before


def test_auto_finds_the_run_of_a_folder_that_is_named(train):
    run = train("rounds=2", "hydra.run.dir=elsewhere/D")
    (run / "run.json").write_text(json.dumps({**record(run), "status": "interrupted"}))
    assert train("rounds=4", "hydra.run.dir=elsewhere/D", "--resume", "auto") == run
    assert record(run)["resumed"] == [2]


def test_a_resumed_sweep_leaves_its_completed_jobs_as_they_are(invoke):
    arguments = ["train", "-m", *TINY, "rounds=2", "seed=1,2,3", "hydra.sweep.dir=S", "checkpoint.every=1"]
    assert invoke(*arguments).exit_code == 0
    done = files("S/0") | files("S/2")
    unbroken = metrics(Path("S/1"))
    shutil.rmtree("S/1")
    result = invoke("train", "-m", "--resume", "S")
    assert result.exit_code == 0, result.stderr
    assert metrics(Path("S/1")) == unbroken
    assert files("S/0") | files("S/2") == done
    assert Path("S/1/.hydra/overrides.yaml").is_file()
    # Fewer rounds than they have done are refused, and nothing is written.
    before = files("S")
    result = invoke("train", "-m", "--resume", "S", "rounds=1")
    assert result.exit_code == 2
    assert "rounds=1: S/0 has done 2 rounds already" in result.stderr
    assert files("S") == before


def test_reading_a_run_removes_nothing_of_it(train, invoke):
    """Another run begins with it while it is written: its temporary files are none of the other's business."""
    run = train("rounds=1")
    (run / "model.keras").unlink()
    leftover = run / "checkpoints" / ".tmp~1~1~00000000~elsewhere~00000000~round_000002.npz"
    leftover.write_text("half")
    before = files(run)
    result = invoke("finetune", "--pretrained", str(run), "dataset=digits", "rounds=0", "clients_per_round=2")
    assert result.exit_code == 0, result.stderr
    assert files(run) == before


def test_hydras_record_is_kept_in_its_form(train):
    import yaml

    run = train("rounds=1", "seed=4")
    for name in ("config", "hydra", "overrides"):
        assert (run / ".hydra" / f"{name}.yaml").is_file()
    assert yaml.safe_load((run / ".hydra/config.yaml").read_text())["seed"] == 4
    assert "seed=4" in yaml.safe_load((run / ".hydra/overrides.yaml").read_text())
    train("--resume", str(run), "rounds=2")
    assert yaml.safe_load((run / ".hydra/config.yaml").read_text())["rounds"] == 2


def test_a_run_does_not_go_on_with_other_data(train, invoke, data):
    run = train("rounds=2", "seed=1")
    data.version = "second"
    before = files(run)
    result = train("--resume", str(run), "rounds=4", code=2)
    assert f"{run} was made with other inputs: the data (" in result.stderr
    assert two_lines(result)
    assert files(run) == before
    train("rounds=2", "seed=2")
    result = invoke("compare", "outputs", "--json")
    assert [group["seeds"] for group in json.loads(result.stdout)["groups"]] == [[1], [2]]
    assert "their data are not the same" in result.stdout
    data.version = "first"
    train("--resume", str(run), "rounds=4")
    assert record(run)["resumed"] == [2]
    assert record(run)["resumed_versions"] == [record(run)["versions"]]


def test_a_sweep_does_not_go_on_with_other_data(invoke, data):
    assert invoke("train", "-m", *TINY, "rounds=2", "seed=1,2", "hydra.sweep.dir=S").exit_code == 0
    data.version = "second"
    before = files("S")
    result = invoke("train", "-m", "--resume", "S", "rounds=4")
    assert result.exit_code == 2, result.stderr
    assert "made with other inputs" in result.stderr
    assert files("S") == before


def test_a_run_that_was_killed_before_its_config_begins_again(train):
    run = train("rounds=2", "seed=3", "hydra.run.dir=D")
    unbroken = metrics(run)
    document = {**record(run), "status": "running", "process": {**DEAD}, "inputs": None}
    for path in sorted(run.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (run / "run.json").write_text(json.dumps(document))
    before = files(run)
    assert "seed=4: D was made with seed=3" in train("--resume", "D", "seed=4", code=2).stderr
    assert files(run) == before
    assert train("--resume", "D") == run
    assert metrics(run) == unbroken
    assert record(run)["resumed"] == []
    assert record(run)["inputs"]["data"]["sha256"]
    # With anything else of the run, the missing config is not made up.
    (run / "config.yaml").unlink()
    result = train("--resume", "D", "rounds=3", code=1)
    assert "config.yaml is missing" in result.stderr


#: A process of this machine's earlier boot.
DEAD = {"pid": 1, "start_ticks": 1, "boot_id": "earlier", "hostname": socket.gethostname()}


def test_rows_that_are_missing_are_made_again_or_refused(train):
    run = train("rounds=6", "checkpoint.every=2", "checkpoint.keep=2")
    unbroken = metrics(run)
    rows = run / "metrics.csv"
    whole = rows.read_bytes().splitlines(keepends=True)
    rows.write_bytes(b"".join(whole[:-1]))
    train("--resume", str(run))
    assert metrics(run) == unbroken
    assert record(run)["resumed"] == [4]
    rows.write_bytes(b"".join(whole[:3]))
    before = files(run)
    result = train("--resume", str(run), "rounds=8", code=1)
    assert "has no row of round 2, but the oldest checkpoint is of round 4" in result.stderr
    assert two_lines(result)
    assert files(run) == before
    shutil.rmtree(run / "checkpoints")
    train("--resume", str(run))
    assert metrics(run) == unbroken


def test_compare_leaves_out_a_run_without_a_row(train, invoke):
    run = train("rounds=4")
    lines = (run / "metrics.csv").read_bytes().splitlines(keepends=True)
    (run / "metrics.csv").write_bytes(b"".join([*lines[:2], *lines[3:]]))
    assert "metrics.csv has no row of round 1" in invoke("compare", str(run)).stdout


@pytest.mark.parametrize("option", ["--html", "--png"])
@pytest.mark.parametrize("name", ["metrics.csv", "events/report.png"])
def test_compare_does_not_write_into_a_run(train, invoke, option, name):
    run = train("rounds=1")
    before = files("outputs")
    result = invoke("compare", str(run), option, str(run / name))
    assert result.exit_code == 2
    assert "is a run's folder" in result.stderr
    assert files("outputs") == before


def test_data_inspect_does_not_draw_into_a_run(train, invoke):
    run = train("rounds=1")
    before = files("outputs")
    result = invoke("data", "inspect", "digits", "--png", str(run / "shares.png"))
    assert result.exit_code == 2
    assert "is a run's folder" in result.stderr
    assert files("outputs") == before


def test_events_that_are_missing_are_written_anew(train):
    run = train("rounds=4", "checkpoint.every=2")
    (run / "checkpoints" / "round_000004.npz").unlink()
    for path in (run / "events").iterdir():
        path.unlink()
    train("--resume", str(run))
    from fedcli.runs.events import scalar_rounds

    assert scalar_rounds(run / "events") == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("lost", ["all", "some"])
def test_participants_that_are_missing_are_written_anew(train, lost):
    run = train("rounds=4", "checkpoint.every=2", "sampling.dropout=0.3", "sampling.overselect=2")
    participants = run / "participants.csv"
    whole = participants.read_bytes()
    (run / "checkpoints" / "round_000004.npz").unlink()
    if lost == "all":
        participants.unlink()
    else:
        participants.write_bytes(b"".join(whole.splitlines(keepends=True)[:3]))
    train("--resume", str(run))
    assert participants.read_bytes() == whole


def test_a_checkpoint_too_many_is_removed_on_resume(train):
    """As left by a process that was killed after it saved a checkpoint, before it removed the oldest."""
    run = train("rounds=6", "checkpoint.every=2", "checkpoint.keep=2")
    shutil.copy(run / "checkpoints" / "round_000004.npz", run / "checkpoints" / "round_000002.npz")
    (run / "checkpoints" / f".tmp~1~1~00000000~{socket.gethostname()}~00000000~round_000008.npz").write_text("half")
    (run / "result.json").unlink()
    (run / "run.json").write_text(json.dumps({**record(run), "status": "running", "process": DEAD}))
    train("--resume", str(run))
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["round_000004.npz", "round_000006.npz"]


def test_a_job_that_is_resumed_by_itself_keeps_the_sweep_true(train, invoke):
    assert invoke("train", "-m", *TINY, "rounds=2", "seed=1,2", "hydra.sweep.dir=S").exit_code == 0
    job = Path("S/0")
    (job / "run.json").write_text(json.dumps({**record(job), "status": "running", "process": DEAD}))
    Path("S/sweep.csv").unlink()
    before = files("S")
    result = train("--resume", "S/0", "rounds=4", code=2)
    assert "S/0 is a job of a sweep, with rounds=2" in result.stderr
    assert files("S") == before
    train("--resume", "S/0")
    assert [row["status"] for row in table(Path("S/sweep.csv"))] == ["completed", "completed"]
