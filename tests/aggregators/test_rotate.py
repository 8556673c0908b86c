import dataclasses

from fedcli.aggregators import aggregators
from tests.aggregators.sizes import bits_sent, fields_with_problems


def test_is_quantize_after_a_rotation():
    rotate = aggregators["rotate"](name="rotate", bits=3)
    assert rotate.rotate
    assert [field.name for field in dataclasses.fields(rotate)] == [
        field.name for field in dataclasses.fields(aggregators["quantize"])
    ]
    assert bits_sent("rotate", [2**15], bits=3) == bits_sent("quantize", [2**15], bits=3, rotate=True)
    # The ends of the range, the rotation's seed and the numbers.
    assert bits_sent("rotate", [2**15], bits=3) == (64 + 64 + 3 * 2**15, 0)


def test_has_the_problems_of_quantize():
    assert fields_with_problems("rotate", per_channel=True) == ["per_channel"]
    assert fields_with_problems("rotate", bits=0) == ["bits"]
