"""What the aggregators have in common that send updates by a codec of fedcli: zeroing, clipping, rotation, coding."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from fedcli.aggregators.base import AggregatorConfig
from fedcli.aggregators.bounded import BOUNDED_COLUMNS, bounded
from fedcli.columns import Columns, Direction
from fedcli.ranges import Count

if TYPE_CHECKING:
    import tensorflow_federated as tff

    from fedcli.compression.codec import Codec
    from fedcli.compression.quantized import Quantizer

#: How symbols become bits: a fixed number of bits each; canonical Huffman codes of the previous round's frequencies;
#: Elias-gamma codes of the runs of zeros and of what is between them.
CODES = ("packed", "huffman", "elias")


@dataclass(frozen=True)
class CodedAggregator(AggregatorConfig):
    """The (weighted) mean of updates that travel as coded messages.

    An update is zeroed and clipped if so asked, then each of its large tensors is encoded by itself.

    Attributes:
        min_elements: Tensors of fewer numbers are sent whole.
        zeroing: Whether updates with an extremely large value count as zero.
        clipping: Whether updates are clipped to an L2 norm that follows the clients' 80 % quantile.
        measure_distortion: Whether each round measures the error of the mean update.
    """

    columns: ClassVar[Columns] = {
        **BOUNDED_COLUMNS,
        "bits_per_element": Direction.MINIMIZE,
        "stream_bits": Direction.MINIMIZE,
        "distortion": Direction.MINIMIZE,
        "sparsity": None,
    }

    min_elements: Count = 20_000
    zeroing: bool = False
    clipping: bool = False
    measure_distortion: bool = True

    @abstractmethod
    def codec(self, shapes: Sequence[tuple[int, ...]]) -> Codec:
        """Makes the codec of a vector from the shapes of the tensors that lie in it."""

    def build(self, *, weighted: bool) -> tff.aggregators.AggregationFactory:
        """Builds TFF's factory; see the base class."""
        import tensorflow_federated as tff

        from fedcli.compression.sum_factory import CodedSumFactory

        sums = CodedSumFactory(
            self.codec,
            min_elements=self.min_elements,
            per_tensor=getattr(self, "per_tensor", True),
            measure_distortion=self.measure_distortion,
        )
        mean = tff.aggregators.MeanFactory if weighted else tff.aggregators.UnweightedMeanFactory
        return bounded(mean(sums), zeroing=self.zeroing, clipping=self.clipping)


@dataclass(frozen=True)
class QuantizedAggregator(CodedAggregator):
    """Updates whose numbers become symbols, and the symbols bits, perhaps after a rotation.

    Attributes:
        rotate: Whether to rotate a vector randomly first (randomized Hadamard transform).
        code: How symbols become bits: one of `CODES`.
    """

    #: Codes that make no sense for these symbols, each with the reason.
    refused_codes: ClassVar[Mapping[str, str]] = {}

    rotate: bool = False
    code: str = "packed"

    @abstractmethod
    def quantizer(self, size: int, shapes: Sequence[tuple[int, ...]]) -> Quantizer:
        """Makes the quantizer.

        Args:
            size: Numbers in the vector: those of the tensors, and some more after a rotation.
            shapes: The tensors in the vector.
        """

    def codec(self, shapes: Sequence[tuple[int, ...]]) -> Codec:
        """Makes the codec; see the base class."""
        from fedcli.compression.pipeline import pipeline

        return pipeline(
            sum(map(math.prod, shapes)), lambda size: self.quantizer(size, shapes), code=self.code, rotate=self.rotate
        )

    def problems(self) -> Iterator[tuple[str, str]]:
        """The code exists and fits."""
        yield from super().problems()
        fitting = [code for code in CODES if code not in self.refused_codes]
        if self.code not in CODES:
            yield "code", f"must be one of: {', '.join(fitting)}"
        elif self.code in self.refused_codes:
            yield (
                "code",
                f"does not fit {self.name}: {self.refused_codes[self.code]}; choose one of: {', '.join(fitting)}",
            )
