"""What every distributor keeps: one seed is one result, on every runtime, and bits are what is really sent."""

from dataclasses import replace

import numpy as np
import pytest

from fedcli.distributors.broadcast import Broadcast
from fedcli.distributors.entropy import Entropy
from fedcli.distributors.federated_dropout import FederatedDropout
from fedcli.distributors.quantize import Quantize
from fedcli.runtime.local import LocalRuntime
from fedcli.runtime.tff import TFF
from tests.distributors.conftest import first_state
from tests.runtime.conftest import sent_bits, work

CODED = [
    Quantize(bits=6, rounding="stochastic", code="huffman", min_elements=200),
    Quantize(bits=4, rounding="dithered", rotate=True, min_elements=200, stateful_clients=True),
    FederatedDropout(keep=0.5, bits=6, rotate=True, rounding="stochastic", min_elements=200),
    Entropy(min_elements=200),
]
IDS = ["quantize", "stateful", "dropout", "entropy"]


@pytest.mark.parametrize("distributor", CODED, ids=IDS)
def test_threads_change_nothing(compiled, play, distributor):
    program = compiled(distributor)
    runs = []
    for threads in (1, 2):
        with LocalRuntime(threads, 2) as runtime:
            runs.append(play(runtime, program))
    for one, two in zip(*(state for state, _ in runs), strict=True):
        np.testing.assert_array_equal(one, two)
    assert runs[0][1] == runs[1][1]


@pytest.mark.parametrize("distributor", CODED, ids=IDS)
def test_what_all_clients_decode_alike_is_decoded_once(compiled, distributor):
    from fedcli.runtime.engine.compile import part
    from fedcli.runtime.engine.sessions import ClientSession, ServerSession

    program = compiled(distributor)
    assert "receive" in program.parts
    whole = {name: one for name, one in program.parts.items() if name != "receive"}
    whole["work"] = part(program.source.form.work)
    server = ServerSession(program)
    broadcast = server.call("prepare", first_state(server, program), (0, 1))
    split, unsplit = ClientSession(program), ClientSession(replace(program, parts=whole))
    received = split.receive(broadcast)
    assert unsplit.receive(broadcast) is broadcast
    for client in range(2):
        one, other = split.update(work(client, 1), received), unsplit.update(work(client, 1), broadcast)
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("distributor", CODED, ids=IDS)
def test_another_seed_draws_other_numbers(compiled, play, distributor):
    from fedcli.runtime.engine.sessions import ServerSession
    from fedcli.training.weights import with_seed

    program = compiled(distributor)
    server = ServerSession(program)
    state = first_state(server, program)
    # In the first round of stateful clients there is no change to code: look at the second.
    metrics = server.call("report", server.call("zero", (), (0,)), (0,))
    state = server.call("update", [*state, *metrics], (0,))[: len(state)]
    one, again, other = (server.call("prepare", with_seed(state, program, seed), (0,)) for seed in (0, 0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(one, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("distributor", CODED, ids=IDS)
def test_agrees_with_tffs_own_runtime(compiled, play, tmp_path, distributor):
    program = compiled(distributor)
    with LocalRuntime(2, 2) as runtime:
        local_state, local_metrics = play(runtime, program)
    with TFF().start(tmp_path / "run.log") as runtime:
        tff_state, tff_metrics = play(runtime, program)
    for leaf, ours, theirs in zip(program.state, local_state, tff_state, strict=True):
        # A number on the border between two levels may fall to either side, and moves the clients' gradients a little.
        if "histogram" in leaf.path:
            assert np.abs(ours - theirs).sum() <= 4
        else:
            np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=2e-3, err_msg=leaf.path)
            differs = ~np.isclose(ours, theirs, rtol=1e-4, atol=1e-5)
            assert differs.mean() <= 0.01, leaf.path
    for ours, theirs in zip(local_metrics, tff_metrics, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-3)


@pytest.mark.parametrize("distributor", [Broadcast(), *CODED, FederatedDropout(keep=0.4)], ids=["plain", *IDS, "whole"])
def test_bits_are_those_of_what_is_really_sent(compiled, distributor):
    from fedcli.runtime.engine.sessions import ClientSession, ServerSession

    program = compiled(distributor)
    server, client = ServerSession(program), ClientSession(program)
    state = first_state(server, program)
    for round in (1, 2):
        broadcast = server.call("prepare", state, (round,))
        sent = client.update(work(0, round), client.receive(broadcast))
        assert sent_bits(program, sent) == program.communication.aggregated_bits
        total = server.call("accumulate", [*server.call("zero", (), (round,)), *sent], (round,))
        result = server.call("update", [*state, *server.call("report", total, (round,))], (round,))
        state, metrics = result[: len(state)], result[len(state) :]
        by_path = {leaf.path: value for leaf, value in zip(program.metrics, metrics, strict=True)}
        streams = int(by_path.get("distributor/coding/stream_bits", 0))
        # A stateful client has the last model already; the simulation carries it along.
        indices = [*program.model_weights()[0], *program.model_weights()[1]]
        carried = 8 * sum(state[i].nbytes for i in indices) if distributor.clients_keep_state else 0
        received = sum(np.asarray(x).nbytes * 8 for x in broadcast)
        assert received - carried == program.communication.broadcasted_bits + streams
        if distributor in CODED and not (distributor.clients_keep_state and round == 1):
            numbers = by_path["distributor/coding/bits_per_element"]
            elements = 36 * 30 + 30 + 30 * 4 + 4 if distributor is not CODED[2] else 36 * 15 + 15 + 15 * 4 + 4
            # The optimizer's learning rate is broadcast too, beside the model.
            assert float(numbers) * elements == pytest.approx(received - carried - 32, abs=1)


def test_a_plain_broadcast_is_tffs(compiled):
    assert compiled(Broadcast()).communication.change_bits == 0
    assert not Broadcast().clients_keep_state
