"""FedProx against its formulas in NumPy."""

import pytest

from fedcli.algorithms.fed_avg import FedAvg
from fedcli.algorithms.fed_prox import FedProx
from fedcli.optimizers.sgd import SGD
from tests.algorithms.conftest import metrics_of
from tests.algorithms.softmax import mean


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_round_agrees_with_numpy(compiled, play, weighted, momentum):
    program = compiled(FedProx(mu=2.0, weighted=weighted), SGD(learning_rate=0.1, momentum=momentum))
    (round,) = play(program)
    models = []
    for client in round.batches:
        model, velocity = round.before, round.before.zero
        for batch in client:
            velocity = momentum * velocity + model.gradient(batch) + 2.0 * (model - round.before)
            model -= 0.1 * velocity
        models.append(model)
    round.after.assert_close(mean(models, round.sizes if weighted else None))
    assert metrics_of(round.result)["client_work/train/num_examples"] == sum(round.sizes)


def test_without_the_proximal_term_it_is_fed_avg(compiled, play):
    (ours,), (theirs,) = play(compiled(FedProx(mu=0.0))), play(compiled(FedAvg()))
    ours.after.assert_close(theirs.after, rtol=0, atol=1e-7)
    assert metrics_of(ours.result) == pytest.approx(metrics_of(theirs.result), rel=1e-6)
    assert compiled(FedProx(mu=0.0)).communication == compiled(FedAvg()).communication


def test_clients_without_examples_change_nothing(compiled, play):
    program = compiled(FedProx())
    (with_empty,), (without,) = play(program, counts=[5, 0]), play(program, counts=[5])
    with_empty.after.assert_close(without.after, rtol=0, atol=0)


def test_problems_name_the_fields():
    assert [field for field, _ in FedProx(mu=-1.0).problems()] == ["mu"]
    assert not list(FedProx().problems())
