"""How many numbers a model has, known before it is built."""

from __future__ import annotations

from dataclasses import dataclass

#: Bytes of a number: models compute in 32-bit floats.
_BYTES = 4


@dataclass(frozen=True)
class ModelSize:
    """The size of a model.

    Attributes:
        parameters: Numbers in its weights.
        activations: Numbers that a training step keeps for each example of its batch: the layers' outputs.
    """

    parameters: int
    activations: int

    def training_bytes(self, batch: int, copies: int) -> int:
        """Returns the bytes that training takes at least.

        Args:
            batch: Examples in a batch.
            copies: How many arrays of the weights' size exist at the same time.
        """
        return _BYTES * (copies * self.parameters + batch * self.activations)
