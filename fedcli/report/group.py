"""Puts runs together that differ in nothing but their seed."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fedcli.report.load import Run

#: Keys that cannot change a run's numbers: where it is kept, how often it is saved, how many threads did the work.
NEUTRAL = frozenset(
    {"output_dir", "runtime.threads", "dataset.cache_dir", "cache_dir", "checkpoint.every", "checkpoint.keep"}
    # Those of runtime=ray: where the work was done.
    | {"runtime.address", "runtime.workers", "runtime.num_cpus", "runtime.num_gpus", "runtime.data"}
    | {"runtime.call_timeout", "runtime.tries", "runtime.start_timeout", "runtime.cache"}
)
_NEUTRAL_GROUPS = ("logger", "hydra")

#: Stands for a key that a config does not have; not None, which is a value.
ABSENT = "-"


@dataclass(frozen=True)
class Group:
    """Runs of one config with different seeds.

    Attributes:
        config: Dotted keys without the seed and what cannot change the numbers; `command` among them.
        runs: At least one, each with another seed, by seed.
    """

    config: Mapping[str, Any]
    runs: tuple[Run, ...]

    @property
    def seeds(self) -> list[int | None]:
        """The seeds of its runs."""
        return [run.seed for run in self.runs]


def group_runs(runs: Iterable[Run]) -> tuple[list[Group], list[Run]]:
    """Groups completed runs.

    The same seed twice is one experiment, not two: the same numbers again would feign certainty. The newest run
    counts.

    Returns:
        The groups, in the order of their first runs; and the older runs of a seed, as `repeat`.
    """
    members: dict[frozenset[tuple[str, str]], list[Run]] = {}
    for run in runs:
        members.setdefault(_identity(settings(run)), []).append(run)
    groups, repeats = [], []
    for several in members.values():
        newest: dict[int | None, Run] = {}
        for run in sorted(several, key=lambda run: run.record.started if run.record else ""):
            if (older := newest.get(run.seed)) is not None:
                problem = f"the same config and seed as the newer {run.folder.name}"
                repeats.append(dataclasses.replace(older, status="repeat", problem=problem))
            newest[run.seed] = run
        counted = sorted(newest.values(), key=lambda run: (run.seed is None, run.seed or 0))
        groups.append(Group(settings(counted[0]), tuple(counted)))
    return groups, repeats


def settings(run: Run) -> dict[str, Any]:
    """Returns what of a run's config can change its numbers, except the seed."""
    kept = {
        key: value
        for key, value in run.config.items()
        if key != "seed" and key not in NEUTRAL and key.partition(".")[0] not in _NEUTRAL_GROUPS
    }
    return {"command": run.record.command, **kept} if run.record else kept


def differing_keys(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns the keys in which configs differ, in the order of the configs."""
    keys = dict.fromkeys(key for config in configs for key in config)
    return [key for key in keys if len({_plain(config[key]) if key in config else None for config in configs}) > 1]


def telling_keys(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns the differing keys without those that follow from another.

    Where `aggregator.name` differs, keys that only one of the aggregators has differ too, but say nothing more
    unless their values vary. So does `command`, which a config's own keys tell.
    """
    keys = differing_keys(configs)
    telling = []
    for key in keys:
        choice = f"{key.partition('.')[0]}.name"
        values = {_plain(config[key]) for config in configs if key in config}
        if key != choice and choice in keys and len(values) == 1:
            continue
        telling.append(key)
    return [key for key in telling if key != "command"] or telling


def separating_keys(configs: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> list[str]:
    """Returns few of the keys, enough to tell the configs apart: for labels.

    Choices (`aggregator.name`) come before what belongs to one; a key that separates nothing more is left out.
    """
    chosen: list[str] = []
    classes = 1
    for key in sorted(keys, key=lambda key: not key.endswith(".name")):
        trial = [*chosen, key]
        count = len({tuple(_plain(config[k]) if k in config else None for k in trial) for config in configs})
        if count > classes:
            chosen, classes = trial, count
    return chosen


def short_key(key: str) -> str:
    """Writes `aggregator.name` as users type it: `aggregator`."""
    return key.removesuffix(".name")


def shown_value(value: Any) -> str:
    """Writes a config value as in YAML: `true`, `null`, `0.1`, `[200, 200]`; text without quotes."""
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _identity(config: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    return frozenset((key, _plain(value)) for key, value in config.items())


def _plain(value: Any) -> str:
    # 1 and 1.0 are one learning rate, but 1 and true are two values.
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53:
        value = float(value)
    return json.dumps(value, sort_keys=True, default=str)
