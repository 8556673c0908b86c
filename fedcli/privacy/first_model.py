"""What the model that a run begins with has learned of the run's clients before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fedcli.privacy.accountant import Relation, relation_of
from fedcli.privacy.release import Release
from fedcli.runs.inputs import data_hash


@dataclass(frozen=True)
class FirstModel:
    """What is known of the model that a run begins with.

    Attributes:
        description: The model, and why it counts as it does; None for random weights.
        releases: What its training released of the same clients.
        reason: Why nobody can tell; None where `releases` is all.
    """

    description: str | None = None
    releases: tuple[Release, ...] = ()
    reason: str | None = None


def first_model(
    pretrained: Mapping[str, Any],
    *,
    data: str | None,
    partition: Mapping[str, Any],
    relation: Relation,
    is_published: bool,
    is_vouched_for: bool,
) -> FirstModel:
    """Judges the model that a fine-tuning begins with.

    Args:
        pretrained: Its `name`, and `run`: what the record of the run that made it says, or None; see
            `fedcli.runs.inputs`.
        data: Fingerprint of the run's data; None if it is not known.
        partition: The run's partition, which makes the clients.
        relation: Which data sets are neighbors in the run's own accounting.
        is_published: Whether the model is one that fedcli fetches by name, trained on public text.
        is_vouched_for: Whether the user says that it is public.
    """
    name = str(pretrained.get("name"))
    if is_published:
        return FirstModel(f"public weights: {name}, a published model")
    if is_vouched_for:
        return FirstModel(f"public weights: {name}, by pretrained_is_public=true")
    run = pretrained.get("run")
    if not isinstance(run, Mapping):
        return _unknown(f"nothing tells what {name} was trained on")
    trained_on, privacy = data_hash(run.get("inputs")), run.get("privacy") or {}
    if data is None or trained_on is None:
        return _unknown(f"nothing tells whether {name} was trained on the same clients")
    if trained_on != data or privacy.get("partition", dict(partition)) != partition:
        return _unknown(f"{name} was trained on other data, which may be of the same people")
    if not privacy:
        return _unknown(f"{name} was trained on the same clients without noise")
    if privacy.get("epsilon") is None:
        why = privacy.get("not_covered") or "its training has not ended"
        return _unknown(f"{name} was trained on the same clients, and its record states no epsilon: {why}")
    try:
        releases = tuple(map(Release.from_json, privacy["releases"]))
    except (KeyError, TypeError, ValueError):
        return _unknown(f"{name} was trained on the same clients, and its record does not tell what it released")
    if any(relation_of(release.scheme) is not relation for release in releases):
        return _unknown(f"{name} was trained on the same clients with another sampling.scheme: the two do not compose")
    return FirstModel(f"{name}, which had spent epsilon {privacy['epsilon']:.4g} of the same clients", releases)


def _unknown(reason: str) -> FirstModel:
    return FirstModel(reason=reason)
