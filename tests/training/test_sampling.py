import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedcli.training.sampling import ExampleOrder, poisson_sample, sample_clients, seed_words

IDS = [f"c{i}" for i in range(50)]


def test_sampling_depends_on_seed_and_round_only():
    assert sample_clients(IDS, 10, 1, 1) == sample_clients(IDS, 10, 1, 1)
    assert sample_clients(IDS, 10, 1, 1) != sample_clients(IDS, 10, 1, 2)
    assert sample_clients(IDS, 10, 1, 1) != sample_clients(IDS, 10, 2, 1)


def test_sampling_is_without_replacement_and_uniform():
    counts = dict.fromkeys(IDS, 0)
    for round in range(2000):
        clients = sample_clients(IDS, 10, 0, round)
        assert len(set(clients)) == 10
        for client in clients:
            counts[client] += 1
    # Each count is binomial(2000, 0.2): mean 400, standard deviation 17.9. Six of them is 1 in 10^7 for 50 clients.
    assert all(abs(count - 400) < 6 * 17.9 for count in counts.values())


def test_all_clients_can_be_sampled():
    assert sorted(sample_clients(IDS, 50, 0, 1)) == sorted(IDS)


def test_poisson_sampling_takes_each_client_by_itself():
    rounds = 3000
    taken = np.zeros((rounds, len(IDS)))
    for round in range(rounds):
        clients = poisson_sample(IDS, 5, 0, round)
        assert clients == poisson_sample(IDS, 5, 0, round)
        assert len(set(clients)) == len(clients)
        taken[round, [IDS.index(client) for client in clients]] = 1
    # As in the test above: six standard deviations of a binomial count.
    assert np.all(np.abs(taken.sum(0) - rounds * 0.1) < 6 * (rounds * 0.1 * 0.9) ** 0.5)
    # The number of clients varies as that of independent ones: 50 x 0.1 x 0.9. Its estimate errs by 2.6 %; six of that.
    assert taken.sum(1).var() == pytest.approx(4.5, rel=6 * 0.026)
    # Two clients know nothing of each other; a correlation of independent ones errs by 1 / sqrt(rounds).
    correlations = np.corrcoef(taken.T)[np.triu_indices(len(IDS), 1)]
    assert np.abs(correlations).max() < 6 / rounds**0.5
    assert not all(poisson_sample(IDS, 1, 0, round) for round in range(50))
    assert sorted(poisson_sample(IDS, 50, 0, 1)) == sorted(IDS)


@given(st.integers(0, 40), st.integers(1, 4), st.integers(1, 7), st.none() | st.integers(1, 9), st.booleans())
def test_order_covers_each_epoch(n, epochs, batch_size, max_batches, drop):
    order = ExampleOrder(seed_words(0, "x"), epochs, batch_size, max_batches, drop)
    got = order(n)
    assert np.array_equal(got, order(n))
    assert got.dtype == np.int64
    expected = n * epochs
    if drop:
        expected -= expected % batch_size
    if max_batches is not None:
        expected = min(expected, max_batches * batch_size)
    assert len(got) == order.length(n) == expected
    for start in range(0, len(got), max(n, 1)):
        epoch = got[start : start + n]
        assert len(set(epoch)) == len(epoch)
        assert set(epoch) <= set(range(n))


def test_epochs_and_clients_are_shuffled_differently():
    def order(*purpose):
        return ExampleOrder(seed_words(0, *purpose), 2, 5, None, False)(30)

    first = order("examples", 1, "a")
    assert not np.array_equal(first[:30], first[30:])
    assert not np.array_equal(first, order("examples", 1, "b"))
    assert not np.array_equal(first, order("examples", 2, "a"))


@pytest.mark.parametrize("other", [(0, "a", "b"), (1, "a"), (0, "ab")])
def test_purposes_do_not_collide(other):
    assert seed_words(0, "a") != seed_words(*other)
    assert all(0 <= word < 2**64 for word in seed_words(0, "a"))
