"""Who of the clients that a round asks reports, what that takes and what they send.

As in Bonawitz et al. 2019, "Towards Federated Learning at Scale: System Design", https://arxiv.org/abs/1902.01046:

- The server asks more clients than it needs. Every one of them is sent the model, and all of it counts as sent down.
- A client that is lost (`dropped`) is so after it got the model and before it sends: nothing of it counts as sent up.
- When as many have reported as the goal says, the round ends; at the deadline it ends with those that have. Who has not
  reported then is `cut`: what its link has carried until then counts as sent up, and is thrown away.
- Where the goal is not met and there is no deadline, the server waits as long as the slowest of all that it asked would
  have taken: it cannot know that a client is lost.
- A client that has no batch to train on (`left_out`) says so when it has the model: it sends no update, and the server
  does not wait for it. A client whose update is not finite does so too, but that shows only after its training: until
  then it counts as one that reports.
- With no report at all, the state stays as it is.

Who reports is decided before anybody trains, and only those train. Messages whose length depends on their values, such
as entropy coded ones, are for this taken to be as long as the last round measured them, on average over its clients (in
the first round their streams count nothing). Seconds, and bits of cut clients, are those of the lengths that the
round itself measures, on average over those that report.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from fedcli.training.devices import Device


class Fate(StrEnum):
    """What becomes of a client that was asked."""

    REPORTED = "reported"
    DROPPED = "dropped"
    CUT = "cut"
    LEFT_OUT = "left_out"


@dataclass(frozen=True)
class Visit:
    """A client's part in one round, as far as it is known before training.

    Attributes:
        client: Its id.
        device: How fast it is in this round.
        examples: Examples that it trains on; one that it passes over twice counts twice.
        is_lost: Whether it will be lost.
        work_per_example: Gradients of the server's model that it computes for each of `examples`: more than 1 where the
            algorithm passes over them again, less where the client trains a smaller model.
        is_idle: Whether it has no batch to train on.
    """

    client: str
    device: Device
    examples: int
    is_lost: bool
    work_per_example: float = 1.0
    is_idle: bool = False

    def trained_after(self, download_bits: float) -> float:
        """Returns the seconds until it can send its update."""
        work = self.examples * self.work_per_example
        return download_bits / self.device.download_rate + work * self.device.seconds_per_example

    def reports_after(self, download_bits: float, upload_bits: float) -> float:
        """Returns the seconds until the server has its update, were it not lost, or knows that there is none."""
        if self.is_idle:
            return download_bits / self.device.download_rate
        return self.trained_after(download_bits) + upload_bits / self.device.upload_rate


@dataclass(frozen=True)
class Outcome:
    """What a round took.

    Attributes:
        seconds: Until it ended.
        reports_after: Until each client's report was there, or would have been, in the order of the visits.
        cut_bits: Sent by clients that were cut, together.
    """

    seconds: float
    reports_after: Sequence[float]
    cut_bits: int


@dataclass(frozen=True)
class Participation:
    """Who reports.

    Attributes:
        visits: Those asked, in the order in which they were sampled.
        fates: What becomes of each.
        is_goal_met: Whether as many report as the goal says.
        deadline: Seconds after which the round ends anyhow; None for no limit.
    """

    visits: Sequence[Visit]
    fates: Sequence[Fate]
    is_goal_met: bool
    deadline: float | None

    @property
    def reported(self) -> list[str]:
        """Clients that report, in the order in which they were sampled."""
        pairs = zip(self.visits, self.fates, strict=True)
        return [visit.client for visit, fate in pairs if fate is Fate.REPORTED]

    def outcome(self, download_bits: Sequence[int], upload_bits: float) -> Outcome:
        """Computes the time, and what was sent in vain, from the messages' real lengths.

        Args:
            download_bits: Of each client's model, in the order of the visits.
            upload_bits: Of an update; a mean, where they differ.
        """
        pairs = list(zip(self.visits, download_bits, strict=True))
        times = [visit.reports_after(bits, upload_bits) for visit, bits in pairs]
        if self.is_goal_met:
            end = max(time for time, fate in zip(times, self.fates, strict=True) if fate is Fate.REPORTED)
            # It was met in time by the lengths expected; the real ones may be longer.
            end = end if self.deadline is None else min(end, self.deadline)
        else:
            end = max(times) if self.deadline is None else self.deadline
        sent = (
            min(upload_bits, max(0.0, (end - visit.trained_after(bits)) * visit.device.upload_rate))
            for (visit, bits), fate in zip(pairs, self.fates, strict=True)
            if fate is Fate.CUT
        )
        return Outcome(end, times, sum(map(int, sent)))


def participation(
    visits: Sequence[Visit],
    download_bits: Sequence[int],
    upload_bits: float,
    *,
    goal: int,
    deadline: float | None,
) -> Participation:
    """Decides who reports: the fastest that are not lost, no more than the goal, none after the deadline.

    Args:
        visits: Those asked.
        download_bits: Of each one's model, as far as known.
        upload_bits: Of an update, as far as known.
        goal: Reports that end the round.
        deadline: Seconds after which it ends anyhow; None for no limit.
    """
    times = [visit.reports_after(bits, upload_bits) for visit, bits in zip(visits, download_bits, strict=True)]
    # Of two that are equally fast, the one sampled first.
    able = [(time, place) for place, time in enumerate(times) if not (visits[place].is_lost or visits[place].is_idle)]
    in_time = {place for time, place in sorted(able)[:goal] if deadline is None or time <= deadline}
    fates = [Fate.REPORTED if place in in_time else _missing(visit) for place, visit in enumerate(visits)]
    return Participation(visits, fates, len(in_time) == goal, deadline)


def _missing(visit: Visit) -> Fate:
    """Returns what became of a client that does not report."""
    if visit.is_lost:
        return Fate.DROPPED
    return Fate.LEFT_OUT if visit.is_idle else Fate.CUT
