import pytest

from tests.aggregators.sizes import bits_sent, fields_with_problems


@pytest.mark.parametrize(
    ("keys", "bits"),
    [
        # 79 buckets of 512 numbers (the last one smaller) have a norm each.
        ({}, (79 * 32, 0)),
        ({"code": "huffman"}, (79 * 32 + 15 * 8, 15 * 8)),
        ({"code": "packed"}, (79 * 32 + 4 * 40_000, 0)),
        # Five symbols: three of them in 7 bits.
        ({"code": "packed", "levels": 2, "bucket_size": 50_000}, (32 + 8 * -(-13_334 * 7 // 8), 0)),
    ],
)
def test_bits_of_a_tensor(keys, bits):
    assert bits_sent("qsgd", [400, 100], **keys) == bits


@pytest.mark.parametrize(
    ("keys", "fields"),
    [
        ({"levels": 0}, ["levels"]),
        ({"levels": 128}, ["levels"]),
        ({"bucket_size": 0}, ["bucket_size"]),
        ({"norm": "l1"}, ["norm"]),
        ({"norm": "max", "rotate": True, "code": "packed"}, []),
    ],
)
def test_problems_name_the_fields(keys, fields):
    assert fields_with_problems("qsgd", **keys) == fields
