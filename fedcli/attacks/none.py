"""No attack: all clients are honest."""

from __future__ import annotations

from dataclasses import dataclass

from fedcli.attacks import attacks
from fedcli.attacks.base import AttackConfig


@attacks.register("none")
@dataclass(frozen=True)
class NoAttack(AttackConfig):
    """Clients train on their examples and send what they have trained."""

    name: str = "none"
