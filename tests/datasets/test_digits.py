import numpy as np
import pytest
from sklearn.datasets import load_digits

from fedcli.datasets import datasets
from fedcli.datasets.digits import _read, to_emnist_form
from fedcli.errors import ConfigError


@pytest.fixture(scope="module")
def digits():
    return datasets["digits"](name="digits").load()


def test_writers_and_shapes(digits):
    assert list(digits.client_ids) == [f"writer_{i:02d}" for i in range(13)]
    assert digits.spec.num_clients == 13
    for client in digits.client_ids:
        examples = digits.client(client)
        assert examples.x.shape == (len(examples), *digits.spec.x_shape)
        assert (examples.x.dtype, examples.y.dtype) == (np.float32, np.int32)
        assert 0 <= examples.x.min() < 0.2
        assert examples.x.max() == 1
        # Every writer has every digit, in training and in test.
        assert set(examples.y) == set(range(10))


def test_the_file_is_what_scikit_learn_loads():
    pixels, labels = _read()
    bunch = load_digits()
    np.testing.assert_array_equal(pixels, bunch.images)
    np.testing.assert_array_equal(labels, bunch.target)


def test_every_digit_is_in_exactly_one_split(digits):
    images = [digits.client(client).x for client in digits.client_ids] + [digits.test().x]
    assert sum(digits.sizes().values()) == 1797 - digits.test_size()
    found = np.concatenate(images).reshape(1797, -1)
    expected = to_emnist_form(_read()[0]).reshape(1797, -1)
    np.testing.assert_array_equal(found[np.lexsort(found.T)], expected[np.lexsort(expected.T)])


def test_a_sixth_of_each_writer_is_test():
    for i in range(13):
        one = datasets["digits"](name="digits", clients=[f"writer_{i:02d}"]).load()
        total = sum(one.sizes().values()) + one.test_size()
        assert total in (138, 139)
        assert one.test_size() / total == pytest.approx(1 / 6, abs=0.01)
        assert len(set(one.test().y)) == 10


def test_background_is_one_and_ink_is_zero():
    full = to_emnist_form(np.full((1, 8, 8), 16.0))[0, :, :, 0]
    assert (full[4:24, 4:24] == 0).all()
    assert (full[[0, 27]] == 1).all()
    np.testing.assert_array_equal(full, full.T)
    np.testing.assert_array_equal(full, full[::-1])
    assert (to_emnist_form(np.zeros((1, 8, 8))) == 1).all()


def test_limited_test_is_the_same_every_time_and_spread(digits):
    limited = digits.test(26)
    assert len(limited) == 26
    np.testing.assert_array_equal(limited.x, digits.test(26).x)
    assert len(digits.test(10_000)) == digits.test_size()


def test_unknown_writer():
    with pytest.raises(ConfigError, match="writer_13") as caught:
        datasets["digits"](name="digits", clients=["writer_13"]).load()
    assert "did you mean writer_" in caught.value.hint


def test_test_digits_by_writer_are_the_test_split(digits):
    assert digits.tested_clients() == digits.client_ids
    parts = [digits.test_client(client).x for client in digits.tested_clients()]
    np.testing.assert_array_equal(np.concatenate(parts), digits.test().x)
