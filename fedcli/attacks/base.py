"""What an attack is to the rest of fedcli: which clients make it, and what they train on or send instead."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from fedcli.datasets.base import DataSpec, Examples
from fedcli.ranges import Fraction
from fedcli.registry import Component

if TYPE_CHECKING:
    import tensorflow as tf


@dataclass(frozen=True)
class AttackConfig(Component):
    """An attack and its keys."""

    #: Whether attackers train on other examples than theirs: then `examples` says on which.
    changes_examples: ClassVar[bool] = False
    #: Whether attackers send another update than they have trained: then `update` says which.
    changes_updates: ClassVar[bool] = False

    @property
    def share(self) -> float:
        """Share of all clients that attack, in each round in which they take part."""
        return 0.0

    @property
    def compiled(self) -> AttackConfig | None:
        """What of the attack is part of a round's graphs: None where it leaves them as they are."""
        return None

    def check(self, spec: DataSpec) -> None:
        """Refuses a data set whose clients cannot attack so.

        Raises:
            ConfigError: They cannot.
        """

    def examples(self, examples: Examples, num_classes: int) -> Examples:
        """Returns what an attacker trains on in place of its examples.

        Args:
            examples: Its examples.
            num_classes: Classes of the data set.
        """
        return examples

    def update(self, tensor: tf.Tensor) -> tf.Tensor:
        """Returns what an attacker sends in place of one tensor of its update. Called where the round is built."""
        return tensor


@dataclass(frozen=True)
class Attack(AttackConfig, ABC):
    """An attack of some of the clients.

    Attributes:
        fraction: Share of all clients that attack; see `fedcli.training.attacked.attackers` on who does.
    """

    fraction: Fraction = 0.2

    @property
    def share(self) -> float:
        """As the key says; see the base class."""
        return self.fraction


@dataclass(frozen=True)
class UpdateAttack(Attack, ABC):
    """An attack on what is sent: attackers train as others do."""

    changes_updates: ClassVar[bool] = True

    @property
    def compiled(self) -> Self:
        """All of it but who attacks, which the clients are told; see the base class."""
        return dataclasses.replace(self, fraction=0.0)

    @abstractmethod
    def update(self, tensor: tf.Tensor) -> tf.Tensor:
        """Returns what an attacker sends in place of a tensor; see the base class."""
