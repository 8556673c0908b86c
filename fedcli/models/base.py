"""What a model is to the rest of fedcli: a Keras model for the inputs and targets of a data set."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol, Self

from fedcli.datasets.base import DataSpec
from fedcli.errors import ConfigError
from fedcli.models.size import ModelSize
from fedcli.models.sub_model import SubModel
from fedcli.registry import Component

if TYPE_CHECKING:
    import tensorflow as tf
    import tensorflow_federated as tff


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
        if not self.takes(spec.kind):
            raise ConfigError(
                f"model={self.name} takes {self.kind} data, but the data set holds {spec.kind}",
                f"choose a model for {spec.kind}: {', '.join(_names_for(spec.kind))}",
            )

    @classmethod
    def takes(cls, kind: str) -> bool:
        """Says whether the model takes data of this kind."""
        return kind == cls.kind

    @abstractmethod
    def build(self, spec: DataSpec) -> tf.keras.Model:
        """Builds the uncompiled Keras model in the current graph or eager context.

        Args:
            spec: The data set's inputs and targets.

        Returns:
            A model that maps a batch [b, *spec.x_shape] to logits [b, *spec.y_shape, spec.num_classes].
        """

    def size(self, spec: DataSpec) -> ModelSize | None:
        """Counts the model's numbers without building it; None if that is not known.

        Args:
            spec: The data set's inputs and targets.
        """
        return None

    def export(self, spec: DataSpec) -> tf.keras.Model:
        """Builds the model as the Keras file of a run holds it.

        Args:
            spec: The data set's inputs and targets.

        Returns:
            A model of plain Keras layers with the variables and the numbers of what `build` returns.
        """
        return self.build(spec)

    def sub_model(self, spec: DataSpec, share: float) -> SubModel:
        """Describes the network that has a share, in (0, 1], of each hidden layer's units or filters.

        Raises:
            ConfigError: The model has no such sub-models.
        """
        raise ConfigError(
            f"model={self.name} has no sub-models, which consist of some units of dense and convolutional layers",
            f"choose another distributor, or a model that has them: {', '.join(_names_with_sub_models())}",
        )


class ModelFn(Protocol):
    """What `tff.learning` builds its graphs from: called, it makes the model in the current graph."""

    @property
    def model(self) -> ModelConfig | SubModel:
        """What is built."""

    @property
    def spec(self) -> DataSpec:
        """The data set's inputs and targets."""

    def of(self, model: ModelConfig | SubModel) -> Self:
        """Returns the same for another model."""

    def counting_targets(self) -> Self:
        """Returns the same, but with targets that are not padding as what a batch's number of examples counts."""

    def __call__(self) -> tff.learning.models.VariableModel:
        """Builds the model."""


def _names_with_sub_models() -> list[str]:
    from fedcli.models import models

    return [name for name, model in models.components.items() if model.sub_model is not ModelConfig.sub_model]


def _names_for(kind: str) -> list[str]:
    from fedcli.models import models

    return [name for name, model in models.components.items() if model.takes(kind)]
