"""Attackers train on wrong labels.

Yin et al. 2018, "Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates",
https://arxiv.org/abs/1803.01498: a digit y becomes 9 - y.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from fedcli.attacks import attacks
from fedcli.attacks.base import Attack
from fedcli.datasets.base import DataSpec, Examples
from fedcli.errors import ConfigError
from fedcli.ranges import Range


@attacks.register("label_flip")
@dataclass(frozen=True)
class LabelFlip(Attack):
    """The last class for the first, and so on; or each class for another a few further on.

    What clients report of their training, such as `train/accuracy`, is what they see: attackers report that of the
    wrong labels.

    Attributes:
        rotate: By how many classes each label is moved on, round from the last to the first; None to turn their order.
    """

    changes_examples: ClassVar[bool] = True

    name: str = "label_flip"
    rotate: Annotated[int, Range(-(10**6), 10**6)] | None = None

    def check(self, spec: DataSpec) -> None:
        """Refuses text, whose targets are the characters that follow, not labels; see the base class."""
        if spec.y_shape:
            raise ConfigError(
                f"attack=label_flip gives examples other labels, but those of a {spec.kind} data set have none",
                "choose attack=sign_flip, noise or scaled",
            )
        if self.rotate is not None and self.rotate % spec.num_classes == 0:
            raise ConfigError(
                f"attack.rotate={self.rotate}: leaves each of {spec.num_classes} labels as it is",
                f"set attack.rotate to a number from 1 to {spec.num_classes - 1}",
            )

    def examples(self, examples: Examples, num_classes: int) -> Examples:
        """Changes the labels; see the base class."""
        y = num_classes - 1 - examples.y if self.rotate is None else (examples.y + self.rotate) % num_classes
        return Examples(examples.x, y.astype(np.int32))
