import pytest

from fedcli.compression.quantizers.level_fit import BINS
from tests.aggregators.sizes import bits_sent, fields_with_problems


@pytest.mark.parametrize(
    ("keys", "bits"),
    [
        # A scale, the client's 16 levels, its histogram, the numbers; down: the levels.
        ({}, (32 + 16 * 32 + 16 * BINS + 4 * 40_000, 16 * 32)),
        ({"code": "huffman"}, (32 + 16 * 32 + 16 * BINS + 16 * 8, 16 * 32 + 16 * 8)),
        # 7 magnitudes and their negatives and zero: 15 symbols.
        ({"levels": "exponential"}, (79 * 32 + 4 * 40_000, 0)),
        ({"levels": "exponential", "code": "elias", "bucket_size": 40_000}, (32, 0)),
    ],
)
def test_bits_of_a_tensor(keys, bits):
    assert bits_sent("quantize_nonuniform", [400, 100], **keys) == bits


@pytest.mark.parametrize(
    ("keys", "fields"),
    [
        ({"levels": "even"}, ["levels"]),
        ({"bits": 0}, ["bits"]),
        ({"bits": 9}, ["bits"]),
        ({"bits": 1}, []),
        ({"bits": 1, "levels": "exponential"}, ["bits"]),
        ({"bucket_size": 0}, ["bucket_size"]),
        ({"code": "elias"}, ["code"]),
        ({"code": "elias", "levels": "exponential"}, []),
    ],
)
def test_problems_name_the_fields(keys, fields):
    assert fields_with_problems("quantize_nonuniform", **keys) == fields
