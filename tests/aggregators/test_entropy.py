import numpy as np
import pytest

from fedcli.aggregators.entropy import Entropy
from tests.aggregators.sizes import bits_sent, fields_with_problems
from tests.compression.messages import INPUTS, transmit


def test_bits_that_are_known_before_are_the_header_only():
    assert bits_sent("entropy", [400, 100]) == (32, 0)
    # The code lengths of 255 symbols travel in both directions.
    assert bits_sent("entropy", [400, 100], code="huffman") == (32 + 255 * 8, 255 * 8)


@pytest.mark.parametrize(
    ("keys", "fields"),
    [
        ({"step": 0}, ["step"]),
        ({"step": float("nan")}, ["step"]),
        ({"rounding": "dithered"}, ["rounding"]),
        ({"code": "packed"}, ["code"]),
        ({"code": "zip"}, ["code"]),
        ({"code": "huffman", "rotate": True, "per_tensor": True}, []),
    ],
)
def test_problems_name_the_fields(keys, fields):
    assert fields_with_problems("entropy", **keys) == fields


@pytest.mark.parametrize("code", ["huffman", "elias"])
@pytest.mark.parametrize("kind", ["random", "heavy", "one_hot"])
def test_a_finer_step_errs_less_with_either_code(code, kind):
    x = INPUTS[kind]
    rms = np.sqrt(np.mean(np.square(x)))
    for step in (1.0, 0.1, 1e-3, 1e-5):
        codec = Entropy(step=step, code=code).codec([x.shape])
        decoded, _, _ = transmit(codec, x)
        # Half a step a number, and the last bit of a float32.
        assert np.sqrt(np.mean(np.square(decoded - x))) <= (0.5 * step + 1e-6) * rms
