"""The work of a comparison, described once for all its sides."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Workload:
    """Rounds of federated averaging with plain SGD.

    Attributes:
        dataset: fedcli's data set.
        model: `cnn`, `mlp` or `char_rnn`.
        clients: Clients a round.
        rounds: Rounds.
        learning_rate: Of the clients; the server's is 1.
        batch_size: Examples a batch.
        max_batches: At most so many batches a client; None for no limit.
        min_examples: Only clients with so many training examples take part; 0 for all.
        reset_after: Form of `char_rnn`'s GRU.
        aggregator: `mean` or `compression`.
        eval_every: Evaluate every so many rounds; None for the initial and the final model only.
        max_test: At most so many held-out examples; None for all.
        seed: Where the initial model, the clients and the order of their examples come from.
    """

    dataset: str
    model: str
    clients: int
    rounds: int
    learning_rate: float = 0.1
    batch_size: int = 20
    max_batches: int | None = None
    min_examples: int = 0
    reset_after: bool = True
    aggregator: str = "mean"
    eval_every: int | None = None
    max_test: int | None = 1000
    seed: int = 0

    def overrides(self, participants: list[str] | None) -> list[str]:
        """Returns the arguments of `fedcli train` that do this work.

        Args:
            participants: The clients that take part; None for all.
        """

        def value(of: object) -> str:
            return "null" if of is None else str(of)

        given = [
            f"dataset={self.dataset}",
            f"model={self.model}",
            f"clients_per_round={self.clients}",
            f"rounds={self.rounds}",
            f"client_optimizer.learning_rate={self.learning_rate}",
            f"dataset.batch_size={self.batch_size}",
            f"dataset.max_batches_per_client={value(self.max_batches)}",
            f"aggregator={self.aggregator}",
            f"eval.every={self.eval_every or self.rounds}",
            f"eval.max_examples={value(self.max_test)}",
            f"seed={self.seed}",
        ]
        if self.model == "char_rnn":
            given += [f"model.reset_after={str(self.reset_after).lower()}", "dataset.drop_remainder=true"]
        if participants is not None:
            given.append(f"dataset.clients=[{','.join(participants)}]")
        return given
