import csv
import dataclasses
import io
import json
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from fedcli.errors import ConfigError
from fedcli.runs.directory import RunDirectory
from fedcli.runs.process import Process
from fedcli.runs.record import RunRecord, write_record
from fedcli.runs.result import write_result
from fedcli.runs.sweep import SweepDirectory, SweepRecord
from fedcli.runs.sweep_jobs import last_round, read_jobs, table, write_table


def job(sweep, number, status, error=None, process=None, accuracy=0.5):
    """Leaves what a job of that status leaves."""
    run = sweep.job(number)
    run.path.mkdir()
    record = RunRecord.begin(id="000000", command="train", argv=[], overrides=[f"seed={number}"], seed=number)
    if status == "running":
        record.process = process or record.process
    else:
        record.finish(status, error)
    write_record(run.run_json, record)
    if status == "completed":
        write_result(run.result_json, {"rounds": 3, "final": {"eval/accuracy": accuracy}, "seconds": 1.5})
    return run


@pytest.fixture
def sweep(tmp_path):
    """One job of each kind."""
    sweep = SweepDirectory(tmp_path)
    child = subprocess.Popen(["true"])
    child.wait()
    dead = dataclasses.replace(Process.current(), pid=child.pid)
    job(sweep, 0, "completed")
    job(sweep, 1, "failed", ConfigError("it is wrong,\nvery", "mend it"))
    job(sweep, 2, "running")
    job(sweep, 3, "running", process=dead)
    job(sweep, 4, "running", process=dataclasses.replace(dead, hostname="elsewhere"))
    job(sweep, 5, "completed").result_json.write_text("{")
    (tmp_path / "6").mkdir()
    return sweep


RECORD = SweepRecord("train", ["seed=0,1,2,3,4,5,6"], jobs=[[f"seed={n}"] for n in range(7)], total=7, keys=["seed"])
STATUSES = ["completed", "failed", "running", "killed", "elsewhere", "damaged", "not run"]


def test_folders_tell_what_became_of_the_jobs(sweep):
    jobs = read_jobs(sweep, RECORD)
    assert [job.status for job in jobs] == STATUSES
    assert jobs[0].result["final"] == {"eval/accuracy": 0.5}
    assert jobs[0].problem == ""
    assert all(job.problem for job in jobs[1:])
    assert (jobs[1].problem, jobs[1].hint) == ("it is wrong,\nvery", "mend it")
    assert json.loads(json.dumps([job.document() for job in jobs]))[1]["error"]["hint"] == "mend it"


def test_jobs_of_a_search_are_those_that_have_a_folder(sweep):
    jobs = read_jobs(sweep, dataclasses.replace(RECORD, jobs=None, total=None))
    assert [job.status for job in jobs] == STATUSES
    assert jobs[1].overrides == ["seed=1"]


def test_the_table_has_a_row_for_each_job(sweep):
    write_table(sweep, RECORD)
    with open(sweep.sweep_csv, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["job"], row["seed"], row["status"]) for row in rows] == [
        (str(number), str(number), status) for number, status in enumerate(STATUSES)
    ]
    assert (rows[0]["eval/accuracy"], rows[0]["rounds"], rows[1]["eval/accuracy"]) == ("0.5", "3", "")
    assert rows[1]["error"] == "it is wrong,\nvery"
    assert rows[2]["run"] == str(sweep.job(2))


def test_jobs_that_end_at_once_write_the_table_one_after_another(sweep):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: write_table(sweep, RECORD), range(24)))
    assert sweep.sweep_csv.read_text() == table(read_jobs(sweep, RECORD))


def test_an_override_of_rounds_is_one_column(tmp_path):
    sweep = SweepDirectory(tmp_path)
    job(sweep, 0, "completed")
    (one,) = read_jobs(sweep, dataclasses.replace(RECORD, jobs=[["rounds=3"]]))
    header, row = csv.reader(io.StringIO(table([one])))
    assert header.count("rounds") == 1
    assert dict(zip(header, row, strict=True))["rounds"] == "3"


@pytest.mark.parametrize(
    ("content", "round"),
    [
        (None, None),
        ("", None),
        ("round,x\n", None),
        ("round,x\n0,1\n", 0),
        ("round,x\n0,1\n1,2\n", 1),
        ("round,x\n0,1\n17,2\n18", 17),
        ("round,x\n" + "".join(f"{n},{'9' * 100}\n" for n in range(1000)), 999),
    ],
)
def test_how_far_a_run_is(tmp_path, content, round):
    run = RunDirectory(tmp_path)
    if content is not None:
        run.metrics_csv.write_text(content)
    assert last_round(run) == round
