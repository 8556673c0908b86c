"""What a text run shows beside its accuracy: whether the model knows language at all, and how it writes."""

from __future__ import annotations

import numpy as np

from fedcli.datasets.base import DataSpec, Examples
from fedcli.models.base import ModelConfig
from fedcli.models.generation import Sampling, TextGenerator
from fedcli.training.weights import Weights

#: The TFF text generation study's prompt.
PROMPT = "What of TensorFlow Federated, you ask? "
SAMPLE_LENGTH = 200
_RANDOM_SEQUENCES = 32


def random_characters(spec: DataSpec) -> Examples:
    """Draws sequences of random characters, the same in every run.

    On them, a model can do no better than guessing: 1 in `spec.num_classes`. More would mean that what is
    measured is not what it seems; the study checks so too.
    """
    drawn = np.random.default_rng(0).integers(
        spec.num_classes, size=(_RANDOM_SEQUENCES, spec.x_shape[0] + 1), dtype=np.int32
    )
    return Examples(drawn[:, :-1], drawn[:, 1:])


def sample_text(model: ModelConfig, weights: Weights) -> str:
    """Writes on from the study's prompt; the same text for the same weights."""
    generator = TextGenerator(model, weights)
    return PROMPT + "".join(generator.generate(PROMPT, SAMPLE_LENGTH, Sampling(temperature=0.8), seed=0))
