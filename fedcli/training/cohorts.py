"""A round's clients: who is asked, who reports, and what all of them cost."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from fedcli.columns import LEFT_OUT, SIMULATED
from fedcli.config.schema import TrainConfig
from fedcli.datasets.base import FederatedDataset
from fedcli.keys.sampling import POISSON
from fedcli.runs.metrics import Row
from fedcli.runs.participants import Participant
from fedcli.runtime.engine.communication import Communication
from fedcli.training.changes import ChangeAccount
from fedcli.training.devices import device, is_lost
from fedcli.training.participation import Fate, Participation, Visit, participation
from fedcli.training.sampling import ExampleOrder, poisson_sample, sample_clients, seed_words

#: Column of metrics.csv: how many clients of a round were left out.
(LEFT_OUT_COLUMN,) = LEFT_OUT
#: Columns of metrics.csv where it is simulated who reports.
SIMULATED_COLUMNS = tuple(SIMULATED)


@dataclass(frozen=True)
class Streams:
    """Bits of messages whose length depends on their values, as a round measured them.

    Attributes:
        down: Of the model, for each client.
        up: Of an update, on average over the clients that reported.
    """

    down: int = 0
    up: float = 0.0


@dataclass(frozen=True)
class Cohort:
    """A round's clients.

    Attributes:
        round: The round, from 1.
        asked: Those that were sampled, and sent the model.
        reported: Those of them that train and send an update, in the same order.
        participation: What is simulated of them; None where all report that can.
        left_out: Those that cannot report: they have no batch or, as is known after the training, their update is not
            finite.
    """

    round: int
    asked: Sequence[str]
    reported: Sequence[str]
    participation: Participation | None = None
    left_out: Sequence[str] = ()

    def without(self, clients: Collection[str]) -> Cohort:
        """Leaves out clients that have trained, since their updates are not finite."""
        if not clients:
            return self
        reported = [client for client in self.reported if client not in clients]
        return replace(self, reported=reported, left_out=[*self.left_out, *clients])

    def row(self) -> Row:
        """Returns the column that says how many clients were left out."""
        return {LEFT_OUT_COLUMN: len(self.left_out)}

    def fates(self) -> list[Fate]:
        """Returns what became of each client, where that is simulated, in the order in which they were sampled."""
        if self.participation is None:
            return []
        pairs = zip(self.asked, self.participation.fates, strict=True)
        return [Fate.LEFT_OUT if client in self.left_out else fate for client, fate in pairs]


@dataclass(frozen=True)
class Spent:
    """What a round cost. As it is made by default, that is nothing.

    Attributes:
        bits: Sent by all clients together, and to them.
        streams: What the next round expects of its own.
        seconds: Simulated time that it took.
        participants: What became of each client, where that is simulated.
    """

    bits: Communication = field(default_factory=lambda: Communication(0, 0))
    streams: Streams = field(default_factory=Streams)
    seconds: float = 0.0
    participants: Sequence[Participant] = ()

    def counts(self) -> Row:
        """Returns the columns that say how many clients reported, dropped out and were cut."""
        outcomes = [participant.outcome for participant in self.participants]
        return {f"clients/{fate}": outcomes.count(fate) for fate in Fate if fate is not Fate.LEFT_OUT}


class Cohorts:
    """Chooses the clients of each round and counts what they cost.

    Args:
        config: The config.
        dataset: The clients.
        communication: Bits of a round for each client, where they are known from the types.
        changes: Counts the bits of the model where clients keep it; None where each client is new.
        idle: Clients that have no batch. They get the model and report nothing.
    """

    def __init__(
        self,
        config: TrainConfig,
        dataset: FederatedDataset,
        communication: Communication,
        changes: ChangeAccount | None = None,
        idle: Collection[str] = (),
    ) -> None:
        self._config = config
        self._dataset = dataset
        self._per_client = communication
        self._changes = changes
        self._idle = frozenset(idle)

    def cohort(self, round: int, expected: Streams) -> Cohort:
        """Samples a round's clients, and decides who of them reports.

        Args:
            round: The round, from 1. Where clients keep the model, the round after the last one that was `spent`.
            expected: Bits of messages whose length is known only afterwards.
        """
        config, sampling = self._config, self._config.sampling
        count = sampling.asked(config.clients_per_round)
        sample = poisson_sample if sampling.scheme == POISSON else sample_clients
        asked = sample(self._dataset.client_ids, count, config.seed, round)
        if not sampling.is_simulated:
            reported = [client for client in asked if client not in self._idle]
            return Cohort(round, asked, reported, left_out=[client for client in asked if client in self._idle])
        decided = participation(
            [self._visit(round, client) for client in asked],
            self._downloads(asked, expected.down),
            self._per_client.aggregated_bits + expected.up,
            goal=sampling.reporting_goal(config.clients_per_round),
            deadline=sampling.deadline,
        )
        left_out = [client for client, fate in zip(asked, decided.fates, strict=True) if fate is Fate.LEFT_OUT]
        return Cohort(round, asked, decided.reported, decided, left_out)

    def spent(self, cohort: Cohort, measured: Row, expected: Streams) -> Spent:
        """Counts what a round cost: what is known from the types, and the streams that it measured.

        Args:
            cohort: Its clients.
            measured: Its metrics, named as in metrics.csv.
            expected: What stands for streams that it did not measure: without a report there are none.
        """
        reports = len(cohort.reported)
        down = measured.get("distributor/stream_bits")
        up = int(measured.get("aggregator/stream_bits") or 0)
        streams = Streams(
            expected.down if down is None else int(down),
            up / reports if reports else expected.up,
        )
        downloads = self._downloads(cohort.asked, streams.down)
        if self._changes is not None and (reports or self._config.aggregator.server_adds_noise):
            # Else a round without a report leaves the model as it was, so there is no change of it to keep.
            self._changes.next_round(cohort.asked, self._per_client.change_bits + streams.down)
        sent_down, sent_up = sum(downloads), self._per_client.aggregated_bits * reports + up
        if cohort.participation is None:
            return Spent(Communication(sent_down, sent_up), streams)
        outcome = cohort.participation.outcome(downloads, self._per_client.aggregated_bits + streams.up)
        visits = zip(cohort.participation.visits, cohort.fates(), outcome.reports_after, strict=True)
        return Spent(
            Communication(sent_down, sent_up + outcome.cut_bits),
            streams,
            outcome.seconds,
            [Participant(cohort.round, it.client, str(fate), it.examples, after) for it, fate, after in visits],
        )

    def _downloads(self, clients: Sequence[str], stream_bits: int) -> list[int]:
        """Returns the bits that each client is sent."""
        whole = self._per_client.broadcasted_bits
        if self._changes is None:
            return [whole + stream_bits] * len(clients)
        change = self._per_client.change_bits
        return [whole - change + needed for needed in self._changes.needed(clients, change + stream_bits)]

    def _visit(self, round: int, client: str) -> Visit:
        config = self._config
        order = ExampleOrder.of(config.dataset, seed_words(config.seed, "examples", round, client))
        examples = order.length(self._dataset.size(client))
        return Visit(
            client,
            device(config.sampling, config.seed, round, client),
            examples,
            is_lost(config.sampling.dropout, config.seed, round, client),
            work_per_example=self._work_per_example(examples),
            is_idle=client in self._idle,
        )

    def _work_per_example(self, examples: int) -> float:
        computed = self._config.algorithm.computed_examples(examples, self._config.dataset.batch_size)
        return self._compute_fraction * computed / examples if examples else 1.0

    @cached_property
    def _compute_fraction(self) -> float:
        return self._config.distributor.compute_fraction(self._config.model, self._config.dataset.spec)
