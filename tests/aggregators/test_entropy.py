import pytest

from tests.aggregators.sizes import bits_sent, fields_with_problems


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
