"""What a run was made from beside its config: the fingerprints of its data, first model and third parties' code.

run.json keeps them as `inputs`:

    data        `name`, and `sha256` of all examples (null: not known)
    pretrained  null, or the model that a fine-tuning began with: `name`, `sha256` of the weights, and `run`, which is
                null or what the record of the run that made the model says: `id`, `command`, `rounds`, `privacy` and
                its own `inputs`; so `pretrained.run.inputs.data.sha256` tells which data the model has seen before
    sources     by package, `sha256` of the Python files of third parties' components

Records of earlier versions have no `inputs`: what is not known differs from nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: A fingerprint is shown by its beginning.
_SHOWN = 8


def data_hash(inputs: Mapping[str, Any] | None) -> str | None:
    """Returns the fingerprint of the data, None if it is not known."""
    return _text(_part(inputs, "data").get("sha256"))


def pretrained_hash(inputs: Mapping[str, Any] | None) -> str | None:
    """Returns the fingerprint of the weights that a fine-tuning began with; None for none, or where it is not known."""
    return _text(_part(inputs, "pretrained").get("sha256"))


def source_hashes(inputs: Mapping[str, Any] | None) -> dict[str, str]:
    """Returns the fingerprint of each third party's package."""
    return {name: value for name, value in _part(inputs, "sources").items() if isinstance(value, str)}


def differences(before: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> list[str]:
    """Tells in which inputs two runs differ, each as a phrase such as `the data (12ab34cd, now 56ef78ab)`.

    What is not known of one of them is left out.
    """
    found = []
    for what, old, new in (
        ("the data", data_hash(before), data_hash(now)),
        ("the pretrained model", pretrained_hash(before), pretrained_hash(now)),
    ):
        if old is not None and new is not None and old != new:
            found.append(f"{what} ({short(old)}, now {short(new)})")
    olds, news = source_hashes(before), source_hashes(now)
    found += [
        f"the source of {name} ({short(olds[name])}, now {short(news[name])})"
        for name in sorted(olds.keys() & news.keys())
        if olds[name] != news[name]
    ]
    return found


def short(fingerprint: str) -> str:
    """Returns a fingerprint as people are shown it."""
    return fingerprint[:_SHOWN]


def _part(inputs: Mapping[str, Any] | None, name: str) -> Mapping[str, Any]:
    part = (inputs or {}).get(name)
    return part if isinstance(part, Mapping) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
