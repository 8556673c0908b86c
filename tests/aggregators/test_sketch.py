import pytest

from tests.aggregators.sizes import bits_sent, fields_with_problems


@pytest.mark.parametrize(
    ("keys", "bits"),
    [
        # A seed, and 10 rows of 64 numbers in place of 400.
        ({"rank": 10}, 64 + 10 * 64 * 32),
        # Also the ends of the range.
        ({"rank": 10, "bits": 8}, 64 + 64 + 10 * 64 * 8),
        ({"kind": "random_mask", "fraction": 0.25}, 64 + 32 * 6400),
        # Two seeds; 6400 numbers are padded to 50 blocks of 128.
        ({"kind": "random_mask", "fraction": 0.25, "bits": 2, "rotate": True}, 64 + 64 + 64 + 2 * 50 * 128),
    ],
)
def test_bits_of_a_tensor(keys, bits):
    assert bits_sent("sketch", [4, 4, 25, 64], **keys) == (bits, 0)


@pytest.mark.parametrize(
    ("keys", "fields"),
    [
        ({"kind": "circulant"}, ["kind"]),
        ({"rank": 0}, ["rank"]),
        ({"kind": "random_mask", "fraction": 0.0}, ["fraction"]),
        ({"fraction": 1.5}, ["fraction"]),
        ({"scale": "large"}, ["scale"]),
        ({"scale": "minimal_error"}, []),
        ({"scale": "minimal_error", "kind": "random_mask"}, ["scale"]),
        ({"bits": 17}, ["bits"]),
        ({"rotate": True}, ["rotate"]),
        ({"rotate": True, "bits": 1}, []),
    ],
)
def test_problems_name_the_fields(keys, fields):
    assert fields_with_problems("sketch", **keys) == fields
