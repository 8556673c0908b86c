"""A client's own model: the global one, trained further on its examples.

As federated learning with personalization is evaluated (Wang et al. 2019, "Federated Evaluation of On-device
Personalization", https://arxiv.org/abs/1910.10252; Jiang et al. 2019, "Improving Federated Learning Personalization via
Model Agnostic Meta Learning", https://arxiv.org/abs/1909.12488).
"""

from __future__ import annotations

import threading

from fedcli.config.schema import TrainConfig
from fedcli.datasets.base import FederatedDataset
from fedcli.runtime.engine.compiled import CompiledRound
from fedcli.runtime.local import LocalRuntime
from fedcli.runtime.round import ClientWork, State
from fedcli.training.learning_rates import LearningRates
from fedcli.training.sampling import ExampleOrder, seed_words
from fedcli.training.weights import Weights, weights_of, with_weights


class Personalizer:
    """Trains a model on single clients. Safe to use from several threads at once.

    Args:
        config: A config whose server takes the mean of the clients' models: with one client, the server's next model is
            that client's.
        dataset: The clients.
        compiled: Its round.
        purpose: What the order of the examples derives from.
        epochs: Passes over a client's examples.
    """

    def __init__(
        self, config: TrainConfig, dataset: FederatedDataset, compiled: CompiledRound, purpose: str, epochs: int
    ) -> None:
        self._config = config
        self._dataset = dataset
        self._compiled = compiled
        self._rates = LearningRates(config, compiled)
        self._purpose = purpose
        self._epochs = epochs
        self._of_thread = threading.local()
        self._runtimes: list[LocalRuntime] = []

    def __call__(self, weights: Weights, client: str, round: int) -> Weights:
        """Trains a model on a client's training examples.

        Args:
            weights: The model after a round: trainable weights, then others.
            client: The client.
            round: The round after which the model is as it is: the order of the examples derives from it, and the
                client's learning rate is that of its schedule in this round (in the first one, for round 0).
        """
        config = self._config
        seed = seed_words(config.seed, self._purpose, round, client)
        work = ClientWork(
            client=client,
            read=self._dataset.client,
            # All examples: the limit on batches is one of training rounds.
            order=ExampleOrder(
                seed,
                self._epochs,
                config.dataset.batch_size,
                max_batches=None,
                drop_remainder=config.dataset.drop_remainder,
            ),
            batch_size=config.dataset.batch_size,
            seed=seed,
        )
        runtime, first = self._runtime()
        state = with_weights(self._rates.put_into(first, max(round, 1)), self._compiled, weights)
        result = runtime.run_round(state, [work], (0, 0))
        # A client whose training diverges stays with the model that it got.
        return weights if result.left_out else weights_of(result.state, self._compiled)

    def close(self) -> None:
        """Ends the threads."""
        for runtime in self._runtimes:
            runtime.close()

    def _runtime(self) -> tuple[LocalRuntime, State]:
        """Returns this thread's runtime, and its state before the first round."""
        if not hasattr(self._of_thread, "runtime"):
            runtime = LocalRuntime(threads=1, group_size=1)
            self._runtimes.append(runtime)
            runtime.load(self._compiled)
            self._of_thread.runtime = runtime, runtime.initial_state((0, 0))
        found: tuple[LocalRuntime, State] = self._of_thread.runtime
        return found
