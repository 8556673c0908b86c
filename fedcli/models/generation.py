"""Samples text from a character RNN, one character at a time. NumPy only.

A step of one sequence is three products of a vector and a matrix: TensorFlow would take longer to start than the
text takes to write.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedcli.errors import ConfigError
from fedcli.models.base import ModelConfig
from fedcli.models.char_rnn import CharRNN
from fedcli.text.vocabulary import VOCABULARY, decode, encode, unknown_characters

Array = NDArray[np.float32]

#: How many characters outside the vocabulary a message lists.
_LISTED = 5


@dataclass(frozen=True)
class Sampling:
    """How the next character is chosen.

    Attributes:
        temperature: Divides the logits: below 1 more sure, above 1 more varied, 0 always the likeliest character.
        top_k: Choose among so many of the likeliest characters; None for all.
    """

    temperature: float = 1.0
    top_k: int | None = None

    def __post_init__(self) -> None:
        if not (self.temperature >= 0 and np.isfinite(self.temperature)):
            raise ConfigError(
                f"--temperature {self.temperature:g}: must not be negative or infinite",
                "give 0 for the likeliest character each time, 1 for the model's own probabilities",
            )
        if self.top_k is not None and self.top_k < 1:
            raise ConfigError(f"--top-k {self.top_k}: must be at least 1", "leave it out to choose among all")

    def choose(self, logits: Array, random: np.random.Generator) -> int:
        """Chooses a character.

        Args:
            logits: [characters].
            random: Where chance comes from; one number is drawn, none at temperature 0.
        """
        if self.temperature == 0:
            return int(np.argmax(logits))
        scaled = logits.astype(np.float64)
        if self.top_k is not None and self.top_k < len(scaled):
            # A stable sort: among equals the earlier character is kept, on every machine.
            scaled[np.argsort(-scaled, kind="stable")[self.top_k :]] = -np.inf
        # The largest becomes 0 before the division, so that no temperature, however small, overflows upwards.
        with np.errstate(over="ignore", under="ignore"):
            weights = np.exp((scaled - scaled.max()) / self.temperature)
        cumulative = np.cumsum(weights)
        chosen = int(np.searchsorted(cumulative, random.random() * cumulative[-1], side="right"))
        return min(chosen, int(np.flatnonzero(weights)[-1]))


class TextGenerator:
    """Writes text with a character RNN. Holds no state between samples.

    Args:
        model: The model's config.
        weights: Its weights, as `Pretrained.weights` or `fedcli.training.weights.weights_of` have them.

    Raises:
        ConfigError: The model is for something else than text in fedcli's vocabulary.
    """

    def __init__(self, model: ModelConfig, weights: Sequence[NDArray[np.generic]]) -> None:
        from threadpoolctl import ThreadpoolController

        if not isinstance(model, CharRNN):
            raise ConfigError(
                f"text cannot be generated with model={model.name}, a model for {model.kind}",
                "choose a run or a file of model=char_rnn",
            )
        embeddings, kernel, recurrent, bias, dense, dense_bias = (np.asarray(w, np.float32) for w in weights)
        if len(embeddings) != len(VOCABULARY):
            raise ConfigError(
                f"the model has {len(embeddings)} characters, fedcli's vocabulary {len(VOCABULARY)}",
                "choose a model trained with fedcli's vocabulary",
            )
        units = model.units
        self._units, self._reset_after = units, model.reset_after
        # What a character adds to the gates is the same wherever it stands: [characters, 3 * units].
        if model.reset_after:
            self._inputs = embeddings @ kernel + bias[0]
            self._inputs[:, : 2 * units] += bias[1, : 2 * units]
            self._candidate_bias = bias[1, 2 * units :]
        else:
            self._inputs = embeddings @ kernel + bias
        self._gates_kernel = np.ascontiguousarray(recurrent[:, : 2 * units])
        self._candidate_kernel = np.ascontiguousarray(recurrent[:, 2 * units :])
        self._dense, self._dense_bias = dense, dense_bias
        # Found once, which takes milliseconds; limited at each step, so that a caller's own products are not.
        self._blas = ThreadpoolController()

    def generate(
        self, prompt: str, length: int, sampling: Sampling | None = None, *, seed: int = 0, sample: int = 0
    ) -> Iterator[str]:
        """Continues a prompt.

        Args:
            prompt: What the text begins with; not repeated in the result.
            length: Characters to write.
            sampling: How they are chosen, by default with the model's own probabilities.
            seed: The same seed gives the same text.
            sample: Number of the sample, from 0: each draws from numbers of its own, so that sample 3 is the same
                whether or not the others are drawn.

        Returns:
            The characters, each as soon as it is chosen.

        Raises:
            ConfigError: The prompt is empty or has characters outside the vocabulary, or a number is too low.
        """
        # Checked here, not in the iterator, whose body would not run before the first character is asked for.
        check_prompt(prompt)
        for name, value, least in (("length", length, 1), ("seed", seed, 0), ("sample", sample, 0)):
            if value < least:
                raise ConfigError(f"--{name} {value}: must be at least {least}", f"set it with --{name} NUMBER")
        random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(sample,)))
        return self._characters(encode(prompt), length, sampling or Sampling(), random)

    def logits(self, ids: NDArray[np.int32]) -> Array:
        """Computes the logits after each character of a text.

        Args:
            ids: Character ids [t].

        Returns:
            float32 [t, characters].
        """
        logits = np.empty((len(ids), len(self._dense_bias)), np.float32)
        state = self._start()
        for position, character in enumerate(ids):
            state = self._step(state, int(character))
            logits[position] = self._logits(state)
        return logits

    def _characters(
        self, prompt: NDArray[np.int32], length: int, sampling: Sampling, random: np.random.Generator
    ) -> Iterator[str]:
        state = self._start()
        for character in prompt:
            state = self._step(state, int(character))
        for written in range(1, length + 1):
            chosen = sampling.choose(self._logits(state), random)
            yield decode([chosen])
            if written < length:
                state = self._step(state, chosen)

    def _start(self) -> Array:
        return np.zeros(self._units, np.float32)

    def _step(self, state: Array, character: int) -> Array:
        """Reads one character: from one state [units] to the next. The equations of Keras's GRU, gates z, r, h."""
        # Two threads for products as small as these wait for each other far longer than they work, on a busy machine
        # ten times as long; and with one, sums have the same order on every machine.
        with self._blas.limit(limits=1, user_api="blas"):
            units, inputs = self._units, self._inputs[character]
            gates = _sigmoid(inputs[: 2 * units] + state @ self._gates_kernel)
            update, reset = gates[:units], gates[units:]
            if self._reset_after:
                product = reset * (state @ self._candidate_kernel + self._candidate_bias)
            else:
                product = (reset * state) @ self._candidate_kernel
            candidate = np.tanh(inputs[2 * units :] + product)
            return update * state + (1 - update) * candidate

    def _logits(self, state: Array) -> Array:
        with self._blas.limit(limits=1, user_api="blas"):
            return state @ self._dense + self._dense_bias


def check_prompt(prompt: str) -> None:
    """Refuses a prompt that the model cannot read.

    Raises:
        ConfigError: It is empty, or has characters outside the vocabulary, which are listed with their positions.
    """
    if not prompt:
        raise ConfigError("the prompt is empty", "give at least one character, for example --prompt 'What '")
    unknown = unknown_characters(prompt)
    if unknown:
        # Escaped, since such a character may well be one that no terminal shows.
        listed = ", ".join(f"{character!a} at position {position}" for position, character in unknown[:_LISTED])
        more = f" and {len(unknown) - _LISTED} more" if len(unknown) > _LISTED else ""
        raise ConfigError(
            f"the prompt has characters outside the vocabulary: {listed}{more} (positions count from 0)",
            f"use only these: {''.join(c for c in sorted(VOCABULARY) if c.isprintable())} and line breaks",
        )


def _sigmoid(x: Array) -> Array:
    # By tanh, which does not overflow.
    return 0.5 * (1 + np.tanh(0.5 * x))
