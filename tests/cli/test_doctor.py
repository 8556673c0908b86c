import json
import os
import socket
import subprocess
import sys
import uuid
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from fedcli.doctor import rounds
from fedcli.doctor.child import Child
from fedcli.doctor.diagnose import _guarded
from fedcli.doctor.folders import check_cache, check_output
from fedcli.doctor.origin import check_origin
from fedcli.doctor.packages import check_bytecode, check_packages, check_platform, check_python

FEDCLI = Path(sys.executable).with_name("fedcli")
ARCHIVES = ("emnist_all.sqlite.lzma", "shakespeare.sqlite.lzma")


@pytest.fixture
def origin(tmp_path):
    """An origin that has the files by name."""
    folder = tmp_path / "origin" / "tff-datasets-public"
    folder.mkdir(parents=True)
    for name in ARCHIVES:
        (folder / name).touch()
    return folder.parent


def run(*arguments, cwd, **variables):
    return subprocess.run(
        [FEDCLI, "doctor", *arguments], capture_output=True, text=True, cwd=cwd, env=os.environ | variables
    )


def test_a_sound_installation_passes_and_leaves_nothing_behind(tmp_path, origin):
    mark = f"FEDCLI_TEST_{uuid.uuid4().hex}"
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    folder = tmp_path / "work"
    folder.mkdir()
    done = run(
        "--json",
        cwd=folder,
        FEDCLI_ORIGIN=origin.as_uri(),
        FEDCLI_CACHE=str(tmp_path / "cache"),
        TMPDIR=str(temporary),
        **{mark: "1"},
    )
    document = json.loads(done.stdout)
    found = {check["name"]: check for check in document["checks"]}
    assert done.returncode == 0, document
    assert document["status"] in ("passed", "warning")
    assert list(found) == [
        *("platform", "python", "packages", "cache", "outputs", "origin", "imports", "bytecode", "isolation"),
        *("runtime=local", "runtime=tff", "agreement"),
    ]
    # The rest may warn, by the machine that this runs on.
    for name in ("packages", "origin", "imports", "runtime=local", "runtime=tff", "agreement"):
        assert found[name]["status"] == "passed", found[name]
    # Only what the command itself says: no message of TensorFlow's.
    assert all(line.endswith(" ...") for line in done.stderr.splitlines())
    assert processes_with(mark) == []
    assert not list(folder.iterdir())
    assert not list(temporary.iterdir())


def processes_with(variable):
    """Returns the processes that inherited an environment variable."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if variable.encode() in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_bytes())
        except OSError:
            continue
    return found


def test_a_broken_tensorflow_fails_with_what_to_do(tmp_path, origin):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "tensorflow.py").write_text("raise ImportError('libbroken.so: no such file')")
    done = run(cwd=tmp_path, PYTHONPATH=str(tmp_path / "broken"), FEDCLI_ORIGIN=origin.as_uri())
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    (position,) = [i for i, line in enumerate(lines) if line.startswith("✗")]
    assert "libbroken.so: no such file" in lines[position]
    assert lines[position + 1].startswith("    try: ")
    # A round would fail by the same.
    assert not any("runtime=" in line and "round" in line for line in lines)
    assert "1 of 9 checks failed" in done.stderr

    quiet = run("-q", cwd=tmp_path, PYTHONPATH=str(tmp_path / "broken"), FEDCLI_ORIGIN=origin.as_uri())
    assert "✓" not in quiet.stdout
    assert "✗" in quiet.stdout
    assert quiet.stderr == ""


def test_this_environment_is_what_fedcli_needs():
    assert check_platform().status == check_python().status == check_packages().status == "passed"
    assert "tensorflow-federated 0.87.0" in check_packages().message


def test_a_missing_package_and_another_version_are_told_apart(monkeypatch):
    monkeypatch.setattr("importlib.metadata.requires", lambda name: ["typer>=900", "rich>=1", 'x; extra == "dev"'])
    found = check_packages()
    assert (found.status, "typer" in found.message) == ("warning", True)
    monkeypatch.setattr("importlib.metadata.requires", lambda name: ["no-such-package-at-all"])
    found = check_packages()
    assert found.status == "failed"
    assert found.message == "not installed: no-such-package-at-all"


def test_missing_bytecode_is_a_warning_with_the_command(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path))
    found = check_bytecode()
    assert found.status == "warning"
    assert "-m compileall" in found.advice


def test_folders_that_can_be_written_are_not_made(tmp_path):
    found = check_cache(str(tmp_path / "new" / "cache"))
    assert found.status in ("passed", "warning")
    assert "GB free" in found.message
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_written_fails(tmp_path):
    (tmp_path / "file").touch()
    for found in (check_cache(str(tmp_path / "file" / "cache")), check_output(str(tmp_path / "file"))):
        assert found.status == "failed"
        assert "choose another folder" in found.advice


def test_a_full_disk_is_a_warning(monkeypatch, tmp_path):
    monkeypatch.setattr("shutil.disk_usage", lambda path: Usage())
    found = check_cache(str(tmp_path))
    assert found.status == "warning"
    assert "1.0 GB free" in found.message


class Usage:
    free = 10**9


def test_an_origin_in_a_folder_is_looked_at(origin):
    assert check_origin(origin.as_uri()).status == "passed"
    (origin / "tff-datasets-public" / ARCHIVES[0]).unlink()
    found = check_origin(origin.as_uri())
    assert found.status == "warning"
    assert "emnist" in found.message
    assert "dataset=digits work without it" in found.advice


def test_the_environment_names_the_origin(origin, monkeypatch):
    monkeypatch.setenv("FEDCLI_ORIGIN", origin.as_uri())
    assert origin.as_uri() in check_origin().message


def test_an_origin_that_is_no_url_fails():
    assert check_origin("nowhere").status == "failed"


def test_an_origin_that_nobody_answers_at_is_a_warning():
    with socket.socket() as unused:
        # Bound, but not listening: connections are refused.
        unused.bind(("127.0.0.1", 0))
        found = check_origin(f"http://127.0.0.1:{unused.getsockname()[1]}")
    assert found.status == "warning"
    assert "cannot be reached" in found.message


def test_a_server_is_asked_for_headers_only(monkeypatch):
    requests = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            requests.append(self.path)
            self.send_response(404 if "emnist" in self.path else 200)
            self.end_headers()

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("FEDCLI_ORIGIN", f"http://user:secret@127.0.0.1:{server.server_port}")
        found = check_origin()
        server.shutdown()
        thread.join()
    assert requests == [f"/tff-datasets-public/{name}" for name in ARCHIVES]
    assert found.status == "warning"
    assert "the server answers 404" in found.message
    assert "secret" not in found.message


def test_a_process_that_crashes_or_hangs_is_reported():
    with Child("-c", "import os, signal; os.kill(os.getpid(), signal.SIGILL)") as child:
        assert child.wait().reason() == "ended by SIGILL"
    with Child("-c", "import signal; signal.pause()", limit=0.1) as child:
        assert child.wait().code is None


def test_a_round_that_fails_gives_the_error_of_the_command(monkeypatch):
    monkeypatch.setattr(rounds, "_OVERRIDES", ("rounds=-1",))
    found = list(rounds.check_rounds())
    assert [(check.name, check.status) for check in found] == [("runtime=local", "failed"), ("runtime=tff", "failed")]
    assert "rounds=-1: must be from 0 to" in found[0].message


def test_runtimes_that_do_not_agree_fail():
    local = {"train/loss": 1.0, "eval/loss": 2.0}
    assert rounds._agreement({"local": local, "tff": local | {"eval/loss": 2.0001}}).status == "passed"
    found = rounds._agreement({"local": local, "tff": local | {"eval/loss": 2.1}})
    assert found.status == "failed"
    assert "eval/loss" in found.message


def test_a_check_that_raises_has_failed():
    def broken():
        raise RuntimeError("no such thing")

    (found,) = _guarded("name", broken)
    assert (found.name, found.status, found.message) == ("name", "failed", "RuntimeError: no such thing")
