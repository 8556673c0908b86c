"""Bits down where clients keep the model that they last had, and get what has changed since."""

from __future__ import annotations

from collections.abc import Sequence


class ChangeAccount:
    """Counts what a round's clients need to have the newest model.

    A client that last took part s rounds ago needs the changes of s rounds; it gets the whole model instead where that
    is fewer bits, and where it is new. What it needs thus depends on who was sampled in all rounds before.

    Args:
        whole_bits: Bits of the whole model.
    """

    def __init__(self, whole_bits: int) -> None:
        self._whole_bits = whole_bits
        self._last_round: dict[str, int] = {}
        self._bits_until = [0]  # of the changes of all rounds up to each, together

    def needed(self, clients: Sequence[str], change_bits: int) -> list[int]:
        """Returns what clients would get if they took part in the next round; that it is counted says `next_round`.

        Args:
            clients: The clients.
            change_bits: Bits of the change from the last round's model to the next round's.

        Returns:
            Bits of the model for each.
        """
        until = self._bits_until[-1] + change_bits
        lasts = map(self._last_round.get, clients)
        return [
            self._whole_bits if last is None else min(until - self._bits_until[last], self._whole_bits)
            for last in lasts
        ]

    def next_round(self, clients: Sequence[str], change_bits: int) -> None:
        """Takes the next round into account: the clients have its model then.

        Args:
            clients: The round's clients.
            change_bits: Bits of the change from the last round's model to this round's. That of the first round is
                never sent, since all clients are new then.
        """
        self._bits_until.append(self._bits_until[-1] + change_bits)
        round = len(self._bits_until) - 1
        self._last_round.update(dict.fromkeys(clients, round))
