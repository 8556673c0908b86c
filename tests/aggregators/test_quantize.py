import pytest

from tests.aggregators.sizes import bits_sent, fields_with_problems


@pytest.mark.parametrize(
    ("keys", "bits"),
    [
        ({}, 64 + 8 * 40_000),
        ({"bits": 1}, 64 + 40_000),
        ({"bits": 3, "rounding": "dithered"}, 64 + 64 + 3 * 40_000),
        ({"bits": 12, "per_channel": True}, 64 * 100 + 12 * 40_000),
        # With the rotation's seed, padded to blocks of 256: 157 of them.
        ({"bits": 4, "rotate": True}, 64 + 64 + 4 * 157 * 256),
    ],
)
def test_bits_of_a_tensor(keys, bits):
    assert bits_sent("quantize", [400, 100], **keys) == (bits, 0)


def test_huffman_codes_travel_down_and_up():
    assert bits_sent("quantize", [400, 100], bits=5, code="huffman") == (64 + 8 * 32, 8 * 32)


@pytest.mark.parametrize(
    ("keys", "fields"),
    [
        ({"bits": 0}, ["bits"]),
        ({"bits": 17}, ["bits"]),
        ({"rounding": "up"}, ["rounding"]),
        ({"bits": 1, "rounding": "dithered"}, ["bits"]),
        ({"per_channel": True, "rotate": True}, ["per_channel"]),
        ({"code": "morse"}, ["code"]),
        ({"code": "elias"}, ["code"]),
        ({"code": "huffman", "bits": 13}, ["code"]),
        ({"bits": 16, "rounding": "deterministic", "per_channel": True}, []),
        ({"code": "huffman", "bits": 12, "rotate": True}, []),
    ],
)
def test_problems_name_the_fields(keys, fields):
    assert fields_with_problems("quantize", **keys) == fields
