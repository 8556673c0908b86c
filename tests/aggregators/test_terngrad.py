import pytest

from tests.aggregators.sizes import bits_sent, fields_with_problems


@pytest.mark.parametrize(
    ("keys", "bits"),
    [
        ({}, (32 + 8 * 8000, 0)),
        ({"code": "elias"}, (32, 0)),
        ({"code": "huffman"}, (32 + 3 * 8, 3 * 8)),
    ],
)
def test_bits_of_a_tensor(keys, bits):
    """1.6 bits a number; how long streams are is not known before the round."""
    assert bits_sent("terngrad", [400, 100], **keys) == bits


def test_problems_name_the_fields():
    assert fields_with_problems("terngrad", clip=0.0) == ["clip"]
    assert fields_with_problems("terngrad", clip=float("nan")) == ["clip"]
    assert fields_with_problems("terngrad", clip=None) == []
