import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedcli.errors import RunDirectoryError
from fedcli.runs.client_states import ClientStates

TENSORS = [("kernel", np.dtype(np.float32), (2, 3)), ("bias", np.dtype(np.float32), (3,))]


def value(client, round):
    rng = np.random.default_rng([ord(client[0]), round])
    return [rng.random(shape, np.float32) for _, _, shape in TENSORS]


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_a_client_that_never_took_part_has_zeros(tmp_path):
    tensors = ClientStates(tmp_path / "none", TENSORS).of("a", None, 1).read()
    assert [(tensor.shape, tensor.dtype) for tensor in tensors] == [(shape, dtype) for _, dtype, shape in TENSORS]
    assert not any(tensor.any() for tensor in tensors)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("client", ["plain", "../up", "é" * 300, "a/b\0c"])
def test_any_text_is_an_id(tmp_path, client):
    states = ClientStates(tmp_path, TENSORS)
    states.of(client, None, 3).write(value(client, 3))
    assert same(states.of(client, 3, 5).read(), value(client, 3))
    assert [path.parent for path in tmp_path.rglob("*")] == [tmp_path]


def test_a_round_that_does_not_count_leaves_nothing(tmp_path):
    states = ClientStates(tmp_path, TENSORS)
    states.of("a", None, 1).write(value("a", 1))
    own = states.of("a", 1, 2, discard=True)
    own.write(value("a", 2))
    assert same(own.read(), value("a", 1))
    assert len(list(tmp_path.iterdir())) == 1


@settings(max_examples=50, deadline=None)
@given(data=st.data(), every=st.integers(1, 4), keep=st.integers(1, 3))
def test_every_kept_checkpoint_can_be_gone_back_to(tmp_path_factory, data, every, keep):
    folder = tmp_path_factory.mktemp("states")
    states, kept, checkpoints = ClientStates(folder, TENSORS), {}, {0: {}}
    states.restore({}, 0)
    for round in range(1, data.draw(st.integers(1, 12), "rounds") + 1):
        for client in data.draw(st.sets(st.sampled_from("abcd")), "clients"):
            own = states.of(client, kept.get(client), round)
            assert same(own.read(), value(client, kept[client]) if client in kept else states.read(client, None))
            own.write(value(client, round))
            kept[client] = round
        if round % every == 0:
            checkpoints = dict(list({**checkpoints, round: dict(kept)}.items())[-keep:])
            states.saved(list(checkpoints))
    needed = {(c, v) for versions in [*checkpoints.values(), kept] for c, v in versions.items()}
    assert len(list(folder.iterdir())) == len(needed)
    back = data.draw(st.sampled_from(sorted(checkpoints)), "back to")
    again = ClientStates(folder, TENSORS)
    again.restore(checkpoints[back], back)
    for client, version in checkpoints[back].items():
        assert same(again.of(client, version, back + 1).read(), value(client, version))
    assert all(int(path.stem.split("-")[1]) <= back for path in folder.iterdir())


def test_what_is_missing_damaged_or_of_another_model_is_refused(tmp_path):
    states = ClientStates(tmp_path, TENSORS)
    states.of("a", None, 1).write(value("a", 1))
    with pytest.raises(RunDirectoryError, match="is missing: what b kept after round 1"):
        states.restore({"a": 1, "b": 1}, 1)
    with pytest.raises(RunDirectoryError, match="of another model"):
        ClientStates(tmp_path, TENSORS[:1]).read("a", 1)
    path = states.path("a", 1)
    content = bytearray(path.read_bytes())
    content[-200] ^= 255
    path.write_bytes(content)
    with pytest.raises(RunDirectoryError, match="damaged"):
        states.read("a", 1)
