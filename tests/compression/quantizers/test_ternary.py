import numpy as np
import pytest

from fedcli.compression.quantizers.ternary import Ternary
from tests.compression.messages import INPUTS, SIZE, assert_unbiased, estimates, quantized, transmit


@pytest.mark.parametrize("clip", [None, 2.5])
@pytest.mark.parametrize("name", INPUTS)
def test_has_three_values(name, clip):
    x = INPUTS[name]
    decoded, bits, _ = transmit(quantized(Ternary(SIZE, clip)), x)
    assert np.isfinite(decoded).all()
    scale = np.abs(decoded).max()
    assert set(np.abs(decoded)) <= {0.0, scale}
    assert scale <= np.abs(x).max()
    assert (decoded.astype(np.float64) * x >= 0).all()
    # 1.6 bits a number and the scale.
    assert bits == 32 + SIZE * 8 // 5


@pytest.mark.parametrize("name", ["random", "heavy", "positive", "one_hot"])
def test_is_unbiased_without_clipping(name):
    x = INPUTS[name][:100]
    assert_unbiased(estimates(quantized(Ternary(100, None)), x, 3000), x, span=np.abs(x).max())


def test_is_unbiased_for_what_is_clipped_with_it():
    x = INPUTS["heavy"]
    bound = 2.5 * x.std()
    assert (np.abs(x) > bound).any()
    decoded = estimates(quantized(Ternary(SIZE, 2.5)), x, 2000)
    np.testing.assert_allclose(np.abs(decoded).max(), bound, rtol=1e-4)
    assert_unbiased(decoded, np.clip(x, -bound, bound), span=bound)


def test_what_is_all_alike_is_not_clipped():
    np.testing.assert_allclose(transmit(quantized(Ternary(SIZE, 2.5)), INPUTS["constant"])[0], INPUTS["constant"])
