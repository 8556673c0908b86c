"""Writes run folders as fedcli leaves them, sound and broken, without running anything."""

import json
from pathlib import Path

from fedcli.runs.metrics import COLUMNS

RUN_JSON = {
    "schema_version": 1,
    "command": "train",
    "argv": ["fedcli", "train"],
    "overrides": ["aggregator=mean"],
    "finished": None,
    "versions": {"fedcli": "0.1.0", "python": "3.11.7"},
    "git": {"commit": "0123456789abcdef", "dirty": False},
    "host": {"hostname": "vm", "platform": "Linux", "cpus": 2, "memory_bytes": 2**34},
    "resumed": [],
    "error": None,
    "process": None,
}


def write_run(
    folder: Path,
    *,
    aggregator="mean",
    seed=1,
    accuracies=(0.1, 0.5, 0.9),
    bits=2**20,
    status="completed",
    started="2026-11-21T08:00:00Z",
    config="",
    **record,
) -> Path:
    """Writes a run of len(accuracies) - 1 rounds, each of `bits` up and 2^20 down, and one second."""
    folder.mkdir(parents=True, exist_ok=True)
    rounds = len(accuracies) - 1
    document = {**RUN_JSON, "id": folder.name, "status": status, "seed": seed, "started": started, **record}
    (folder / "run.json").write_text(json.dumps(document))
    (folder / "config.yaml").write_text(
        f"dataset: {{name: digits, cache_dir: null}}\nmodel: {{name: mlp}}\naggregator: {{name: {aggregator}}}\n"
        f"runtime: {{name: local, threads: {seed}}}\nrounds: {rounds}\nseed: {seed}\n"
        f"output_dir: {folder.name}\n{config}"
    )
    lines = [",".join(COLUMNS)]
    for round, accuracy in enumerate(accuracies):
        loss = f"{1 - accuracy!r}" if isinstance(accuracy, float) else ""
        shown = accuracy if isinstance(accuracy, str) else repr(accuracy)
        time = "1.0" if round else ""
        now = 1 if round else 0
        sent = f"{round * 2**20},{round * bits},{now * 2**20},{now * bits}"
        lines.append(f"{round},,,,{loss},{shown},{sent},{time}")
    (folder / "metrics.csv").write_text("\n".join(lines) + "\n")
    if status == "completed":
        (folder / "result.json").write_text(json.dumps({"rounds": rounds}))
    return folder


def write_fifty(root: Path, rounds=100) -> None:
    """Writes 50 folders: 2 groups of 20 seeds, and 10 that must not enter a mean."""
    for seed in range(20):
        for aggregator, bits in (("mean", 2**20), ("compression", 2**18)):
            curve = [0.1 + 0.8 * round / rounds + 0.001 * seed for round in range(rounds + 1)]
            write_run(root / f"{aggregator}-{seed:02}", aggregator=aggregator, seed=seed, bits=bits, accuracies=curve)
    short = (0.1, 0.2, 0.3)
    write_run(root / "x-interrupted", accuracies=short, status="interrupted", error={"message": "stopped"})
    write_run(root / "x-failed", accuracies=short, status="failed", error={"message": "the loss is <nan>"})
    write_run(root / "x-killed", accuracies=short, status="running")
    truncated = write_run(root / "x-truncated-csv", accuracies=short)
    (truncated / "metrics.csv").write_bytes((truncated / "metrics.csv").read_bytes()[:-40])
    broken = write_run(root / "x-truncated-json", accuracies=short)
    (broken / "run.json").write_bytes((broken / "run.json").read_bytes()[:50])
    write_run(root / "x-no-record", accuracies=short).joinpath("run.json").unlink()
    empty = write_run(root / "x-empty-files", accuracies=short)
    for name in ("config.yaml", "metrics.csv"):
        (empty / name).write_bytes(b"")
    garbage = write_run(root / "x-garbage", accuracies=short)
    (garbage / "metrics.csv").write_bytes(b"\xff\xfe\x00round\n1\n2\n3\n")
    (root / "x-foreign").mkdir()
    (root / "x-foreign" / "config.yaml").write_text("host: example.org\nport: 80\n")
    (root / "x-empty-folder").mkdir()
