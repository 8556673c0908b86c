import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fedcli.datasets.tf_example import parse_examples, serialize_example


@settings(deadline=None, max_examples=50)
@given(
    values=st.lists(st.floats(width=32, allow_nan=False), max_size=300),
    label=st.integers(0, 2**63 - 1),
    text=st.binary(max_size=300),
    name=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5).filter(lambda n: n not in "ly"),
)
def test_tensorflow_reads_what_was_written(values, label, text, name, tensorflow):
    array = np.array(values, np.float32)
    data = serialize_example({name: array, "l": label, "y": text})
    example = tensorflow.train.Example.FromString(data)
    features = example.features.feature
    assert set(features) == {name, "l", "y"}
    np.testing.assert_array_equal(np.array(features[name].float_list.value, np.float32), array)
    assert list(features["l"].int64_list.value) == [label]
    assert list(features["y"].bytes_list.value) == [text]


def test_what_was_written_is_parsed(tensorflow):
    data = [serialize_example({"x": np.arange(4, dtype=np.float32) + i, "label": 200 + i}) for i in range(3)]
    x, labels = parse_examples(data, ("x", (2, 2), "float32"), ("label", (), "int64"))
    assert x[2].tolist() == [[2, 3], [4, 5]]
    assert labels.tolist() == [200, 201, 202]
