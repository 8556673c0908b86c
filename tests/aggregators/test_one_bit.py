import pytest

from fedcli.aggregators import aggregators
from tests.aggregators.sizes import bits_sent, fields_with_problems


@pytest.mark.parametrize(
    ("keys", "bits"),
    [
        # The rotation's seed, a bit a number, a scale for each of the 3 blocks or for all.
        ({}, 64 + 3 * 2**15 + 3 * 32),
        ({"scale": "minimal_error", "per_block": False}, 64 + 3 * 2**15 + 32),
        ({"scale": "minimal_error", "rotate": False}, 3 * 2**15 + 32),
    ],
)
def test_bits_of_a_tensor(keys, bits):
    assert bits_sent("one_bit", [3 * 2**10, 32], **keys) == (bits, 0)


@pytest.mark.parametrize(
    ("keys", "fields"),
    [
        ({"scale": "large"}, ["scale"]),
        ({"rotate": False}, ["scale"]),
        ({"per_block": False}, ["scale"]),
        ({"code": "huffman"}, ["code"]),
        ({"code": "elias"}, ["code"]),
        ({"rotate": False, "scale": "minimal_error"}, []),
    ],
)
def test_problems_name_the_fields(keys, fields):
    assert fields_with_problems("one_bit", **keys) == fields


def test_the_reason_is_given():
    ((_, reason),) = aggregators["one_bit"](rotate=False).problems()
    assert "rotate=false" in reason
    assert "minimal_error" in reason
