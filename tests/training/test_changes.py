"""The bits of changes, counted again for each client by itself."""

from hypothesis import given
from hypothesis import strategies as st

from fedcli.training.changes import ChangeAccount

ROUNDS = st.lists(st.tuples(st.sets(st.sampled_from("abcde"), min_size=1), st.integers(0, 60)), max_size=12)


def next_round(account, clients, bits):
    needed = account.needed(clients, bits)
    account.next_round(clients, bits)
    return sum(needed)


@given(ROUNDS, st.integers(1, 100))
def test_each_client_gets_what_it_missed_or_the_whole(rounds, whole):
    account = ChangeAccount(whole)
    counted = [next_round(account, sorted(clients), bits) for clients, bits in rounds]
    for now, (clients, _) in enumerate(rounds):
        expected = 0
        for client in clients:
            had = [earlier for earlier in range(now) if client in rounds[earlier][0]]
            missed = [bits for _, bits in rounds[had[-1] + 1 : now + 1]] if had else None
            expected += whole if missed is None else min(sum(missed), whole)
        assert counted[now] == expected


def test_an_example():
    account = ChangeAccount(100)
    assert next_round(account, ["a", "b"], 30) == 200  # both new
    assert next_round(account, ["a", "c"], 30) == 30 + 100
    assert next_round(account, ["b"], 25) == 30 + 25
    assert next_round(account, ["c", "b"], 90) == 100 + 90  # c missed 25 + 90


def test_asking_what_is_needed_changes_nothing():
    account = ChangeAccount(100)
    account.next_round(["a"], 30)
    assert account.needed(["a", "b"], 40) == account.needed(["a", "b"], 40) == [40, 100]
