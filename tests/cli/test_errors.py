"""Mistakes at the real command line: two lines that say what is wrong and what to do, never a traceback."""

import json
import os
import socket
import subprocess
import sys

import pytest

from fedcli.cli.main import main
from fedcli.runs.directory import find_runs
from fedcli.runs.record import read_record
from tests.cli.test_sweep import STIFF
from tests.cli.test_train import TINY

LONG = "a" * 5000

# What was typed, and what the two lines must name.
MISTAKES = [
    (["dataset=emnits"], ["dataset=emnits", "did you mean emnist?", "digits, emnist, imported, shakespeare"]),
    (["dataset=Emnist"], ["dataset=Emnist", "did you mean emnist?"]),
    (["dataset="], ["dataset=:", "digits, emnist, imported, shakespeare"]),
    (["dataset=null"], ["dataset=null", "digits, emnist, imported, shakespeare"]),
    (["dataset=[emnist]"], ["[emnist]", "did you mean emnist?"]),
    (["dataset=émnist"], ["dataset=émnist"]),
    (["model=1"], ["model=1", "char_rnn, cnn, mlp"]),
    (["model.name=foo"], ["model.name=foo", "char_rnn, cnn, mlp"]),
    (["client_optimizer=adm"], ["did you mean adam?"]),
    (["experiment=nope"], ["experiment=nope", "emnist_compression"]),
    (["+experiment=nope"], ["experiment=nope", "emnist_compression"]),
    (["rounds=-1"], ["rounds=-1", "from 0 to"]),
    (["rounds="], ["rounds=:", "whole number"]),
    (["rounds=null"], ["rounds=null", "whole number"]),
    (["rounds=true"], ["rounds=true", "whole number"]),
    (["rounds=1.5"], ["rounds=1.5", "whole number"]),
    (["rounds=[1]"], ["rounds=[1]", "whole number"]),
    (["rounds={a:1}"], ["rounds=", "whole number"]),
    (["rounds=🦄"], ["rounds=🦄"]),
    (["rounds=" + "9" * 5000], ["rounds=999"]),
    (["rounds=" + LONG], ["rounds=aaa", "whole number"]),
    (["rounds=1,2"], ["rounds=1,2", "-m"]),
    (["rounds=range(1,3)"], ["range(1,3)", "-m"]),
    (["rounds=${nope}"], ["nope"]),
    (["rounds=${"], ["rounds=${"]),
    (["rounds=int(a)"], ["int(a)"]),
    (["rounds.foo=1"], ["rounds.foo"]),
    (["rounds='"], ["rounds='"]),
    (["rounds=(1"], ["rounds=(1"]),
    (["~rounds"], ["~rounds", "rounds=VALUE"]),
    (["~dataset"], ["~dataset", "dataset=VALUE"]),
    (["seed=-1"], ["seed=-1", "from 0 to"]),
    (["roudns=5"], ["roudns", "did you mean rounds?"]),
    (["+roudns=5"], ["roudns", "did you mean rounds?"]),
    ([LONG + "=1"], ["aaa", "no such key"]),
    (["🦄=1"], ["🦄"]),
    (["=5"], ["=5"]),
    (["defaults=1"], ["defaults", "no such key"]),
    (["lr=0.1"], ["lr", "--cfg job"]),
    (["learning_rate=0.1"], ["learning_rate", "client_optimizer.learning_rate"]),
    (["batch_size=10"], ["batch_size", "dataset.batch_size"]),
    (["--rounds", "5"], ["--rounds", "rounds=5"]),
    (["--rounds=5"], ["--rounds=5", "rounds=5"]),
    (["--clients-per-round", "5"], ["--clients-per-round", "clients_per_round=5"]),
    (["emnist"], ["emnist", "dataset=emnist"]),
    (["rounds"], ["rounds", "rounds=VALUE"]),
    (["rounds", "5"], ["rounds", "rounds=5"]),
    (["rounds:", "5"], ["rounds", "rounds=5"]),
    (["🦄"], ["🦄"]),
    (["emnits"], ["emnits", "did you mean dataset=emnist?"]),
    ([""], ["KEY=VALUE"]),
    (["a\nb"], ["KEY=VALUE"]),
    (["rounds=5\nfoo"], ["rounds=5"]),
    (["'a b'=c"], ["'a b'=c"]),
    (["rounds = 5"], ["rounds = 5"]),
    (["clients_per_round=100000"], ["clients_per_round=100000", "13 clients", "at most 13"]),
    (["clients_per_round=0"], ["clients_per_round=0", "from 1 to"]),
    (["dataset=shakespeare", "model=cnn"], ["model=cnn", "text", "char_rnn"]),
    (["client_optimizer.learning_rate=abc"], ["client_optimizer.learning_rate=abc", "a number"]),
    (["client_optimizer.learning_rate=-1"], ["client_optimizer.learning_rate=-1", "from 1e-12 to"]),
    (["client_optimizer.learning_rate=nan"], ["client_optimizer.learning_rate=nan", "from 1e-12 to"]),
    (["client_optimizer.learning_rate=inf"], ["client_optimizer.learning_rate=inf"]),
    (["client_optimizer.momentum=2"], ["client_optimizer.momentum=2", "from 0 to 0.999999"]),
    (["client_optimizer=adam", "client_optimizer.momentum=0.5"], ["client_optimizer.momentum", "sgd"]),
    (["dataset.only_digits=true"], ["dataset.only_digits", "dataset=emnist"]),
    (["+dataset.foo=1"], ["dataset.foo", "keys of dataset"]),
    (["dataset.batch_size=0"], ["dataset.batch_size=0", "from 1 to"]),
    (["eval.evry=2"], ["eval.evry", "did you mean every?"]),
    (["eval.every=0"], ["eval.every=0", "from 1 to"]),
    (["eval.every.foo=1"], ["eval.every", "whole number"]),
    (["eval=5"], ["eval=5", "every"]),
    (["checkpoint.keep=0"], ["checkpoint.keep=0", "from 1 to"]),
    (["model=mlp", "model.hidden_units=[0]"], ["model.hidden_units=[0]", "each number", "from 1 to"]),
    (["model=mlp", "model.hidden_units=5"], ["model.hidden_units=5", "list"]),
    (["runtime=rey"], ["runtime=rey", "local, ray, tff"]),
    (["runtime.threads=0"], ["runtime.threads=0", "from 1 to 1024"]),
    (["output_dir="], ["output_dir="]),
    (["hydra.foo=1"], ["hydra.foo"]),
    (["hydra/launcher=nope"], ["hydra/launcher", "nope"]),
    (["--cfg", "foo"], ["--cfg foo", "job, hydra, all"]),
    (["--config-dir", "nope"], ["--config-dir nope", "no such folder"]),
    (["--config-dir"], ["--config-dir"]),
    (["--fail-fast"], ["--fail-fast", "add -m"]),
    (["objective=eval/acuracy"], ["objective=eval/acuracy", "did you mean eval/accuracy?"]),
    (["-m", "objective=loss", "seed=1,2"], ["objective=loss", "eval/loss"]),
    (["-m", "clients_per_round=interval(1,4)"], ["clients_per_round=interval(1,4)", "hydra/sweeper=optuna"]),
    (["-m", "hydra.sweep.subdir=a", "seed=1,2"], ["hydra.sweep.subdir=a", "hydra.sweep.dir"]),
    (["-m", "hydra/launcher=nope", "seed=1,2"], ["hydra/launcher", "nope"]),
    (["-m", "dataset=digits,emnits"], ["dataset=emnits", "did you mean emnist?"]),
    (["-m", "roudns=1,2"], ["roudns", "did you mean rounds?"]),
    # Hydra's own keys, which it answers with errors of its own, or not at all.
    (["hydra/launcher=null"], ["hydra/launcher=null", "choose one of: basic, joblib"]),
    (["-m", "seed=1,2", "hydra/sweeper=null"], ["hydra/sweeper=null", "choose one of: basic, optuna"]),
    (["hydra/output=null"], ["hydra/output=null", "leave it out"]),
    (["hydra.launcher=null"], ["hydra.launcher=null", "hydra/launcher=NAME"]),
    (["hydra.searchpath=[foo://x]"], ["foo://x", "--config-dir"]),
    (["hydra.searchpath=[file:///nowhere]"], ["file:///nowhere: no such folder"]),
    (["hydra.searchpath=null"], ["hydra.searchpath=null"]),
    (["hydra.run.dir="], ["hydra.run.dir=:", "hydra.run.dir=PATH"]),
    (["hydra.verbose=5"], ["hydra.verbose=5"]),
    (["hydra.job.env_copy=[A_VARIABLE_OF_NOBODY]"], ["A_VARIABLE_OF_NOBODY"]),
    (["~hydra/launcher"], ["cannot be removed"]),
    (["-m", "hydra.sweep.dir=a,b"], ["hydra.sweep.dir=a,b", "the same for all jobs"]),
    (["-m", "rounds=range(1,3,0)"], ["rounds=range(1,3,0)", "steps of 0"]),
    (["-m", "rounds=range(3,1)"], ["rounds=range(3,1)", "without values"]),
    (["-m", "seed=range(1,inf)"], ["seed=range(1,inf)", "without an end"]),
    (["-m", "seed=range(0,1000000000)"], ["seed=range(0,1000000000)", "more than 100000"]),
    (["-m", "seed=range(0,90000)", "rounds=1,2"], ["more than 100000 jobs"]),
    (["-m", "aggregator=glob(zz*)"], ["aggregator=glob(zz*)", "mean"]),
    (["-m", "seed=glob(*)"], ["seed=glob(*)", "list the values"]),
    (["-m", "hydra.sweeper.params={seed:'1,2'}"], ["hydra.sweeper.params", "-m KEY=VALUE,VALUE"]),
    (["-m", "seed=1,2", "hydra.sweeper.max_batch_size=0"], ["hydra.sweeper.max_batch_size=0", "at least 1"]),
    (["-m", "seed=1,2", "hydra.sweeper._target_=nope.Nope"], ["nope.Nope"]),
    (["-m", "seed=1,2", "hydra.launcher._target_=os.system"], ["os.system"]),
]


def assert_refused(done, cwd, named, code=2):
    assert "Traceback" not in done.stderr
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 2, done.stderr
    assert lines[0].startswith("error: ")
    assert lines[1].startswith("  try: ")
    assert max(map(len, lines)) < 1000
    for text in named:
        assert text in done.stderr
    assert list(cwd.iterdir()) == []


@pytest.fixture
def main_of(tmp_path, monkeypatch, capsys):
    """Runs what a fedcli process runs, in this one: its start takes a second."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["fedcli", *arguments])
        monkeypatch.chdir(tmp_path)
        with pytest.raises(SystemExit) as ended:
            main()
        return subprocess.CompletedProcess(sys.argv, ended.value.code, *capsys.readouterr())

    return run


@pytest.mark.parametrize(("arguments", "named"), MISTAKES, ids=lambda value: " ".join(value)[:40].replace("\n", " "))
def test_mistake_is_refused_in_two_lines(main_of, tmp_path, arguments, named):
    assert_refused(main_of("train", *arguments), tmp_path, named)


@pytest.mark.parametrize("arguments", [["dataset=émnist"], ["rounds=🦄"], ["a\nb"], ["-m", "roudns=1,2"]], ids=ascii)
def test_mistake_in_a_process_of_its_own(run_cli, tmp_path, arguments):
    (named,) = [named for mistake, named in MISTAKES if mistake == arguments]
    assert_refused(run_cli("train", *arguments, cwd=tmp_path), tmp_path, named)


@pytest.mark.parametrize("arguments", [["tarin"], ["--nope"]], ids=" ".join)
def test_wrong_command_is_refused_in_two_lines(run_cli, tmp_path, arguments):
    assert_refused(run_cli(*arguments, cwd=tmp_path), tmp_path, [*arguments, "--help"])


def test_resuming_what_is_no_run_has_exit_code_1(run_cli, tmp_path):
    assert_refused(run_cli("train", "--resume", "nope", cwd=tmp_path), tmp_path, ["nope", "no run", "auto"], code=1)


@pytest.mark.parametrize(
    ("arguments", "code", "kind", "message"),
    [
        (["dataset=emnits"], 2, "ConfigError", "dataset=emnits: no such dataset"),
        (["--rounds", "5"], 2, "UsageError", "--rounds: no such option"),
        (["--config-dir"], 2, "UsageError", "Option '--config-dir' requires an argument."),
        (["--resume", "nope"], 1, "RunDirectoryError", "nope: no run to resume"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_json_error_is_one_document(run_cli, tmp_path, arguments, code, kind, message):
    done = run_cli("train", "--json", *arguments, cwd=tmp_path)
    assert done.returncode == code
    assert done.stderr == ""
    error = json.loads(done.stdout)["error"]
    assert error["hint"]
    assert (error["type"], error["message"], error["exit_code"]) == (kind, message, code)


def test_debug_shows_the_traceback(run_cli, tmp_path):
    done = run_cli("train", "--debug", "rounds=-1", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("Traceback")
    assert done.stderr.splitlines()[-2].startswith("error: rounds=-1")


@pytest.mark.parametrize("argument", ["dataset=emnits", "clients_per_round=100000"])
def test_mistake_is_found_without_tensorflow(tmp_path, argument):
    code = (
        "import sys\nfrom fedcli.cli.main import app\n"
        "try: app(sys.argv[1:])\n"
        "finally: print(sorted({'tensorflow', 'tensorflow_federated', 'sklearn'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "train", argument], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2, done.stderr
    assert done.stdout.strip() == "[]"


# Runs that fail after they began: exit code 1.


def failed_record(folder):
    """Returns the record of the only run below a folder, which must say that and why it failed."""
    (run,) = find_runs([folder])
    record = read_record(run.run_json)
    assert record.status == "failed"
    assert record.finished
    assert "Traceback" in run.run_log.read_text()
    return record


def assert_failed(done, named):
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    lines = done.stderr.splitlines()
    assert [line.split(":")[0] for line in lines[-2:]] == ["error", "  try"], done.stderr
    for text in named:
        assert text in "\n".join(lines[-2:])


def test_no_network(run_cli, tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        origin = f"http://127.0.0.1:{closed.getsockname()[1]}"
        # Bound but not listening: the port is closed, and nobody else gets it meanwhile.
        cache = tmp_path / "cache"
        done = run_cli(
            "train", "-q", "dataset=emnist", cwd=tmp_path, env={"FEDCLI_ORIGIN": origin, "FEDCLI_CACHE": str(cache)}
        )
    url = f"{origin}/tff-datasets-public/emnist_all.sqlite.lzma"
    assert_failed(done, [url, str(cache), "dataset.origin", "fedcli data fetch emnist"])
    assert len(done.stderr.splitlines()) == 2
    error = failed_record(tmp_path / "outputs").error
    assert error["type"] == "DownloadError"
    assert url in error["message"] + error["hint"]


def test_diverging_loss(main_of, tmp_path):
    done = main_of("train", *TINY, "-q", *STIFF, "client_optimizer.learning_rate=1e6", "rounds=3")
    assert_failed(done, ["round 1", "client_optimizer.learning_rate"])
    assert len(done.stderr.splitlines()) == 2
    assert failed_record(tmp_path / "outputs").error["type"] == "DivergedError"
    (run,) = find_runs([tmp_path / "outputs"])
    assert not run.result_json.exists()
    assert not run.model_keras.exists()


def on_small_disk(tmp_path, size, arguments):
    """Runs fedcli with a file system of a few bytes at tmp_path/disk, and copies afterwards what is on it."""
    script = (
        'mount -t tmpfs -o "size=$1" none disk || exit 77; shift; mkdir found; "$@"; code=$?; '
        "cp -r disk/. found; exit $code"
    )
    (tmp_path / "disk").mkdir()
    command = [sys.executable, "-m", "fedcli", "train", "-q", "output_dir=disk", *arguments]
    unshare = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("FEDCLI_")}
    try:
        # The mount is seen by this child only, and goes with it.
        done = subprocess.run(
            [*unshare, "sh", "-c", script, "sh", size, *command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
    except OSError as error:
        pytest.skip(f"cannot mount a small file system here: {error}")
    if not (tmp_path / "found").exists():
        pytest.skip(f"cannot mount a small file system here: {done.stderr.strip()}")
    return done


def test_disk_too_full_for_the_run_s_folder(tmp_path):
    done = on_small_disk(tmp_path, "4k,nr_inodes=2", ["model=mlp", "rounds=1"])
    assert_failed(done, ["No space left on device", "output_dir=PATH"])
    assert len(done.stderr.splitlines()) == 2


def test_disk_too_full_for_a_checkpoint(tmp_path):
    done = on_small_disk(tmp_path, "256k", ["model=mlp", "rounds=1"])
    assert_failed(done, ["checkpoints", "No space left on device", "output_dir=PATH"])
    assert len(done.stderr.splitlines()) == 2
    assert "No space left on device" in failed_record(tmp_path / "found").error["message"]
    assert [path.name for path in (tmp_path / "found").rglob(".tmp*")] == []


@pytest.mark.parametrize("folder", ["/proc/runs", "file/runs"])
def test_output_dir_that_cannot_be_made(run_cli, tmp_path, folder):
    (tmp_path / "file").write_text("not a folder")
    done = run_cli("train", "-q", f"output_dir={folder}", cwd=tmp_path)
    assert_failed(done, [folder, "output_dir=PATH"])
    assert len(done.stderr.splitlines()) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
