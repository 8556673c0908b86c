"""Puts runs together that differ in nothing but their seed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fedcli.masking import masked
from fedcli.report.load import Run
from fedcli.runs.inputs import data_hash, pretrained_hash, short, source_hashes

#: Keys that cannot change a run's numbers: where it is kept, how often it is saved, how many threads did the work.
NEUTRAL = frozenset(
    # The fingerprint of the data tells more than the place that they came from.
    {"dataset.origin"}
    | {"output_dir", "runtime.threads", "dataset.cache_dir", "cache_dir", "checkpoint.every", "checkpoint.keep"}
    # Those of runtime=ray: where the work was done.
    | {"runtime.address", "runtime.workers", "runtime.num_cpus", "runtime.num_gpus", "runtime.data"}
    | {"runtime.call_timeout", "runtime.tries", "runtime.start_timeout", "runtime.cache"}
)
_NEUTRAL_GROUPS = ("logger", "hydra")

#: Keys of the fingerprints that keep runs of one config apart: data, the pretrained model, third parties' code.
INPUTS = ("data", "pretrained_model", "source")

#: Stands for a key that a config does not have; not None, which is a value.
ABSENT = "-"


@dataclass(frozen=True)
class Group:
    """Runs of one config and the same inputs with different seeds.

    Attributes:
        config: Dotted keys without the seed and what cannot change the numbers; `command` among them. Where groups
            have the same config, their inputs are among them: see `INPUTS`.
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
    same_config: dict[frozenset[tuple[str, str]], list[Run]] = {}
    for run in runs:
        same_config.setdefault(_identity(settings(run)), []).append(run)
    members = [part for several in same_config.values() for part in _by_inputs(several)]
    groups, repeats = [], []
    for inputs, several in members:
        newest: dict[int | None, Run] = {}
        for run in sorted(several, key=lambda run: run.record.started if run.record else ""):
            if (older := newest.get(run.seed)) is not None:
                problem = f"the same config and seed as the newer {run.folder.name}"
                repeats.append(dataclasses.replace(older, status="repeat", problem=problem))
            newest[run.seed] = run
        counted = sorted(newest.values(), key=lambda run: (run.seed is None, run.seed or 0))
        groups.append(Group({**settings(counted[0]), **inputs}, tuple(counted)))
    return groups, repeats


def _by_inputs(runs: Sequence[Run]) -> list[tuple[dict[str, str], list[Run]]]:
    """Parts runs of one config by what they were made from.

    What a run does not know of its inputs (its record is of an earlier version) differs from nothing: where the others
    agree, the run is one of them; where they do not, it may be of any, and so is a part of its own.

    Returns:
        The parts, each with the inputs that tell it from the others; none where there is one part.
    """
    columns = {
        "data": _values([_data(run) for run in runs], [str(run.config.get("dataset.origin")) for run in runs]),
        "pretrained_model": _values([pretrained_hash(_inputs(run)) for run in runs]),
        "source": _values([_source(run) for run in runs]),
    }
    apart = {key: values for key, values in columns.items() if len(set(values)) > 1}
    parts: dict[tuple[str, ...], list[Run]] = {}
    for run, *values in zip(runs, *apart.values(), strict=True):
        parts.setdefault(tuple(values), []).append(run)
    return [(dict(zip(apart, values, strict=True)), several) for values, several in parts.items()]


def _values(hashes: Sequence[str | None], origins: Sequence[str] = ()) -> list[str]:
    """Returns what tells the runs' inputs apart: equal texts for inputs that may be the same.

    Args:
        hashes: Each run's fingerprint; None where it is not known.
        origins: Where each run's data were fetched from: where the fingerprint is not known, all that is.
    """
    origins = origins or [""] * len(hashes)
    known = {found for found in hashes if found is not None}
    of_known = {origin for origin, found in zip(origins, hashes, strict=True) if found is not None}
    of_unknown = {origin for origin, found in zip(origins, hashes, strict=True) if found is None}
    if len(known) + len(of_unknown - of_known) <= 1:
        return ["same"] * len(hashes)
    several = len(of_unknown) > 1
    return [
        (f"unknown, from {masked(origin)}" if several else "unknown") if found is None else short(found)
        for origin, found in zip(origins, hashes, strict=True)
    ]


def _inputs(run: Run) -> Mapping[str, Any] | None:
    return None if run.record is None else run.record.inputs


def _data(run: Run) -> str | None:
    return data_hash(_inputs(run))


def _source(run: Run) -> str | None:
    sources = source_hashes(_inputs(run))
    return hashlib.sha256(repr(sorted(sources.items())).encode()).hexdigest() if sources else None


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
