"""Who attacks in a run, and what the run trains on where attackers have other examples than theirs."""

from __future__ import annotations

import math
from collections.abc import Sequence, Set

import numpy as np

from fedcli.attacks.base import AttackConfig
from fedcli.datasets.base import Examples, FederatedDataset
from fedcli.training.sampling import seed_words


def attackers(client_ids: Sequence[str], share: float, seed: int) -> frozenset[str]:
    """Chooses the clients that attack whenever they take part: those whose ids draw the smallest numbers.

    So they are the same in every round, on every runtime and after a resume, and those of a share are among those of a
    larger one.

    Args:
        client_ids: All training clients.
        share: Share of them, from 0 to 1; their number is rounded.
        seed: The run's seed.
    """
    count = math.floor(share * len(client_ids) + 0.5)
    if not count:
        return frozenset()
    draws = np.fromiter((seed_words(seed, "attacker", one)[0] for one in client_ids), np.uint64, len(client_ids))
    return frozenset(client_ids[place] for place in np.argsort(draws, kind="stable")[:count])


class AttackedDataset(FederatedDataset):
    """Training examples of which some clients have changed theirs; as many as before. To test on, all are honest.

    Args:
        dataset: The honest data set, which stays its owner's to close.
        attack: How attackers change their examples.
        attackers: Their ids.
    """

    def __init__(self, dataset: FederatedDataset, attack: AttackConfig, attackers: Set[str]) -> None:
        self.spec = dataset.spec
        self.client_ids = dataset.client_ids
        self._dataset = dataset
        self._attack = attack
        self._attackers = attackers

    def client(self, client_id: str) -> Examples:
        """Reads a client's examples, changed if it attacks; see the base class."""
        examples = self._dataset.client(client_id)
        if client_id not in self._attackers:
            return examples
        return self._attack.examples(examples, self.spec.num_classes)

    def test(self, max_examples: int | None = None) -> Examples:
        """Reads the data set's own test split; see the base class."""
        return self._dataset.test(max_examples)
