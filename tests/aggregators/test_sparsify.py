import pytest

from tests.aggregators.sizes import bits_sent, fields_with_problems


@pytest.mark.parametrize(
    ("keys", "bits"),
    [
        # 400 of 40,000 numbers; the stream of their places counts when it is measured.
        ({}, (400 * 32, 0)),
        ({"bits": 1}, (400 + 32, 0)),
        ({"bits": 4}, (400 * 4 + 64, 0)),
        ({"kind": "random_k"}, (400 * 32 + 64, 0)),
        ({"kind": "random_k", "rotate": True, "bits": 8, "fraction": 0.1}, (4_000 * 8 + 64 + 64 + 64, 0)),
    ],
)
def test_bits_of_a_tensor(keys, bits):
    sent, broadcast = bits_sent("sparsify", [400, 100], **keys)
    if keys.get("rotate"):
        # The rotated vector is up to 1 % longer, and so is a tenth of it.
        assert bits[0] <= sent <= 1.01 * bits[0]
    else:
        assert (sent, broadcast) == bits


@pytest.mark.parametrize(
    ("keys", "fields"),
    [
        ({"kind": "top"}, ["kind"]),
        ({"fraction": 0}, ["fraction"]),
        ({"fraction": 1.5}, ["fraction"]),
        ({"bits": 0}, ["bits"]),
        ({"bits": 17}, ["bits"]),
        ({"bits": 1, "kind": "random_k"}, ["bits"]),
        ({"rotate": True}, ["rotate"]),
        ({"rotate": True, "kind": "random_k", "fraction": 1.0, "min_elements": 1}, []),
        ({"min_elements": 0}, ["min_elements"]),
    ],
)
def test_problems_name_the_fields(keys, fields):
    assert fields_with_problems("sparsify", **keys) == fields
