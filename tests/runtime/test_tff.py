"""`runtime=tff` is the oracle: TFF's own worker and `runtime=local` give the same run."""

import numpy as np
import pytest

from fedcli.models.mlp import MLP
from fedcli.runtime.local import LocalRuntime
from fedcli.runtime.tff import TFF
from fedcli.training.weights import initial_weights, with_weights
from tests.runtime.conftest import SPEC, broken_work, work


@pytest.mark.parametrize(("aggregator", "hidden"), [("mean", (8,)), ("compression", (600,))])
@pytest.mark.parametrize("weighted", [True, False])
def test_agrees_with_local(compiled, play, tmp_path, aggregator, hidden, weighted):
    model = MLP(hidden_units=hidden)
    program = compiled(aggregator, weighted)
    with LocalRuntime(2, 2) as runtime:
        local_state, local_metrics = play(runtime, program, model)
    with TFF().start(tmp_path / "run.log") as runtime:
        tff_state, tff_metrics = play(runtime, program, model)
    for leaf, ours, theirs in zip(program.state, local_state, tff_state, strict=True):
        differs = ~np.isclose(ours, theirs, rtol=1e-4, atol=2e-6)
        # Where a number lies on the border between two of compression's levels, the last bit decides the level.
        assert differs.mean() <= (0.001 if aggregator == "compression" else 0), leaf.path
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4, err_msg=leaf.path)
    for ours, theirs in zip(local_metrics, tff_metrics, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-5)
    assert local_metrics[0] != local_metrics[1]


@pytest.mark.parametrize("broken", [(1, 3), (0, 1, 2, 3)])
def test_clients_whose_updates_are_not_finite_are_left_out_as_by_local(compiled, tmp_path, broken):
    program = compiled("mean", False)
    clients = [broken_work(number) if number in broken else work(number, 1) for number in range(4)]
    found = []
    for runtime in (LocalRuntime(2, 2), TFF().start(tmp_path / "run.log")):
        with runtime:
            runtime.load(program)
            state = with_weights(
                runtime.initial_state((0, 0)), program, initial_weights(MLP(hidden_units=[8]), SPEC, 0)
            )
            found.append(runtime.run_round(state, clients, (0, 1)))
    ours, theirs = found
    assert ours.left_out == theirs.left_out == [str(number) for number in broken]
    for mine, other in zip(ours.state, theirs.state, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=2e-6)


def test_problems_name_the_fields():
    assert [field for field, _ in TFF(start_timeout=0).problems()] == ["start_timeout"]
    assert not list(TFF().problems())
