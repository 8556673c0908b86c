"""Federated Dropout: a round's clients train a random sub-model.

Caldas et al. 2018, "Expanding the Reach of Federated Learning by Reducing Client Resource Requirements",
https://arxiv.org/abs/1812.07210, section 3.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fedcli.aggregators.quantize import Quantize as Quantizing
from fedcli.distributors import distributors
from fedcli.distributors.base import DistributorConfig
from fedcli.ranges import Count, PositiveFraction, Range

if TYPE_CHECKING:
    import tensorflow_federated as tff

    from fedcli.datasets.base import DataSpec
    from fedcli.models.base import ModelConfig, ModelFn
    from fedcli.models.sub_model import SubModel


@distributors.register("federated_dropout")
@dataclass(frozen=True)
class FederatedDropout(DistributorConfig):
    """Some units of the hidden dense layers and filters of the convolutions, and the weights between them.

    Both directions and the local work shrink: halving each layer leaves a quarter of most weights. The paper draws a
    sub-model for each client. Here a round's clients share one, since TFF's broadcast sends the same to all of them.
    Weights that are not in it get an update of 0: plain SGD, Adagrad and RMSprop on the server leave them as they are
    in that round. SGD with a momentum, Adam and Yogi move them on along the updates of earlier rounds; AdamW also
    decays them.

    Attributes:
        keep: Share of each hidden layer's units or filters in the sub-model.
        bits: Bits a number of the sub-model's large tensors, 1 to 16, coded as by `distributor=quantize`; None for
            all 32, sent whole.
        rounding: See `quantize`; this and the following keys matter where `bits` is given.
        rotate: See `quantize`.
        code: See `quantize`.
        min_elements: See `quantize`; counted in the sub-model.
    """

    trains_sub_models = True

    name: str = "federated_dropout"
    keep: PositiveFraction = 0.75
    bits: Annotated[int, Range(1, 16)] | None = None
    rounding: str = "deterministic"
    rotate: bool = False
    code: str = "packed"
    min_elements: Count = 20_000

    def check_model(self, model: ModelConfig, spec: DataSpec) -> None:
        """Refuses a model that has no sub-models; see the base class."""
        model.sub_model(spec, self.keep)

    def build(self, model_fn: ModelFn) -> tff.learning.templates.DistributionProcess:
        """Builds the process; see the base class and `fedcli.compression.sub_models`."""
        import tensorflow_federated as tff

        from fedcli.compression.coded_model import WholeModel, distribution
        from fedcli.compression.sub_models import sub_model_distribution

        weights_type = tff.learning.models.weights_type_from_model
        sub_type = weights_type(self.client_model_fn(model_fn))
        if self.bits is None:
            inner = tff.learning.templates.build_broadcast_process(sub_type)
        else:
            inner = distribution(WholeModel(sub_type, self._quantizing(self.bits).codec, self.min_elements))
        return sub_model_distribution(self._sub_model(model_fn), weights_type(model_fn), sub_type, inner)

    def client_model_fn(self, model_fn: ModelFn) -> ModelFn:
        """Returns what builds the sub-model; see the base class."""
        return model_fn.of(self._sub_model(model_fn))

    def compute_fraction(self, model: ModelConfig, spec: DataSpec) -> float:
        """Compares multiplications; see the base class and `SubModel.compute_fraction`."""
        return model.sub_model(spec, self.keep).compute_fraction(spec)

    def aggregation(
        self, model_fn: ModelFn, factory: tff.aggregators.WeightedAggregationFactory
    ) -> tff.templates.AggregationProcess:
        """Aggregates the sub-model's updates; see the base class."""
        import tensorflow_federated as tff

        from fedcli.compression.sub_models import sub_model_aggregation

        inner = super().aggregation(self.client_model_fn(model_fn), factory)
        update_type = tff.learning.models.weights_type_from_model(model_fn).trainable
        return sub_model_aggregation(self._sub_model(model_fn), update_type, inner)

    def problems(self) -> Iterator[tuple[str, str]]:
        """Values are in their ranges and fit each other."""
        quantizing = self._quantizing(8 if self.bits is None else self.bits)
        # Keys that both have are checked alike by both.
        yield from dict.fromkeys([*super().problems(), *quantizing.problems()])

    def _sub_model(self, model_fn: ModelFn) -> SubModel:
        from fedcli.models.base import ModelConfig

        model = model_fn.model
        assert isinstance(model, ModelConfig)  # the server's is whole
        return model.sub_model(model_fn.spec, self.keep)

    def _quantizing(self, bits: int) -> Quantizing:
        return Quantizing(
            bits=bits, rounding=self.rounding, rotate=self.rotate, code=self.code, min_elements=self.min_elements
        )
