"""What a model is to the rest of fedcli: a Keras model for the inputs and targets of a data set."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from fedcli.datasets.base import DataSpec
from fedcli.errors import ConfigError
from fedcli.registry import Component

if TYPE_CHECKING:
    import tensorflow as tf


@dataclass(frozen=True)
class ModelConfig(Component, ABC):
    """A model and its keys."""

    #: The kind of data that the model takes: `image` or `text`.
    kind: ClassVar[str]

    def check(self, spec: DataSpec) -> None:
        """Refuses a data set whose examples the model cannot take.

        Raises:
            ConfigError: The kinds differ.
        """
        if spec.kind != self.kind:
            raise ConfigError(
                f"model={self.name} takes {self.kind} data, but the data set holds {spec.kind}",
                f"choose a model for {spec.kind}: {', '.join(_names_for(spec.kind))}",
            )

    @abstractmethod
    def build(self, spec: DataSpec) -> tf.keras.Model:
        """Builds the uncompiled Keras model in the current graph or eager context.

        Args:
            spec: The data set's inputs and targets.

        Returns:
            A model that maps a batch [b, *spec.x_shape] to logits [b, *spec.y_shape, spec.num_classes].
        """

    def export(self, spec: DataSpec) -> tf.keras.Model:
        """Builds the model as the Keras file of a run holds it.

        Args:
            spec: The data set's inputs and targets.

        Returns:
            A model of plain Keras layers with the variables and the numbers of what `build` returns.
        """
        return self.build(spec)


def _names_for(kind: str) -> list[str]:
    from fedcli.models import models

    return [name for name, model in models.components.items() if model.kind == kind]
