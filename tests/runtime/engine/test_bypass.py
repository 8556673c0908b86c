import numpy as np

from fedcli.runtime.engine import sessions
from fedcli.runtime.engine.bypass import unpacked
from fedcli.runtime.engine.sessions import ClientSession, ServerSession
from fedcli.runtime.local import LocalRuntime
from tests.runtime.conftest import work


def test_finds_each_packed_tensor(compiled):
    round = compiled("compression")  # one layer of 36 * 600 numbers; those of up to 20,000 are not compressed
    ((inner, packed),) = unpacked(round.parts["work"], round.parts["accumulate"]).items()
    assert "bitpacking_decode" in inner
    assert "uniform_quantization_encode" in packed


def test_finds_nothing_where_nothing_is_packed(compiled):
    round = compiled("mean")
    assert unpacked(round.parts["work"], round.parts["accumulate"]) == {}


def test_the_sum_has_the_bits_of_what_is_packed_and_unpacked(compiled, monkeypatch):
    round = compiled("compression")
    server = ServerSession(round)
    broadcast = server.call("prepare", server.call("initialize", (), (1, 2)), (1, 2))

    def summed():
        client = ClientSession(round)
        return client.summed(work(3, 1), client.receive(broadcast)).total

    bypassed = summed()
    monkeypatch.setattr(sessions, "unpacked", lambda work, accumulate: {})
    for one, other in zip(bypassed, summed(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_client_that_diverges_still_shows_in_the_state(compiled, play):
    with LocalRuntime(1, 10) as runtime:
        runtime.load(compiled("compression"))
        state = runtime.initial_state((0, 0))
        broken = [np.full_like(tensor, np.nan) if tensor.ndim else tensor for tensor in state]
        result = runtime.run_round(broken, [work(0, 1)], (0, 0)).state
    assert not all(np.isfinite(tensor).all() for tensor in result if tensor.dtype.kind == "f")
