"""AutoGraph without files."""

import inspect
import tempfile

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.autograph.pyct import loader

from fedcli.runtime.generated_code import keep_generated_code_in_memory


@pytest.fixture(autouse=True)
def temporary(monkeypatch, tmp_path):
    """The folder for temporary files, empty; AutoGraph is as it was afterwards."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(loader, "load_source", loader.load_source)
    keep_generated_code_in_memory()
    return tmp_path


def collatz(start):
    """Counts the steps to 1, with loops and branches that only AutoGraph can trace."""
    limit = tf.constant(1000)

    @tf.function
    def steps(n):
        count = tf.constant(0)
        while n != 1 and count < limit:
            n = n // 2 if n % 2 == 0 else 3 * n + 1
            count += 1
        return count

    return steps(tf.constant(start))


def test_generated_code_runs_and_no_file_is_written(temporary):
    assert [int(collatz(n)) for n in (1, 6, 27)] == [0, 8, 111]
    assert not list(temporary.iterdir())


def test_tracebacks_and_inspect_find_the_text():
    module, path = loader.load_source("def double(x):\n    return 2 * x\n", delete_on_exit=True)
    assert module.double(4) == 8
    assert module.__file__ == path
    assert inspect.getsource(module.double) == "def double(x):\n    return 2 * x\n"


def test_an_error_names_the_line_of_the_user():
    @tf.function
    def wrong(x):
        if tf.reduce_sum(x) > 0:
            x = tf.reshape(x, [7])  # too many
        return x

    with pytest.raises(ValueError, match=r"test_generated_code\.py.*line \d+, in wrong\s"):
        wrong(np.ones(3, np.float32))
