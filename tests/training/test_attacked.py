"""Who attacks, and what attackers train on."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fedcli.attacks.label_flip import LabelFlip
from fedcli.datasets.digits import Digits
from fedcli.training.attacked import AttackedDataset, attackers

CLIENTS = st.lists(st.text(max_size=5), unique=True, max_size=30)
SHARE = st.integers(0, 1000).map(lambda thousandths: thousandths / 1000)


# A loaded machine is slow to draw the first ones.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(CLIENTS, SHARE, SHARE, st.integers(0, 10))
def test_a_share_of_the_clients_attacks_and_is_part_of_a_larger_one(clients, one, other, seed):
    less, more = sorted((one, other))
    few, many = attackers(clients, less, seed), attackers(clients, more, seed)
    assert few <= many <= set(clients)
    for share, chosen in ((less, few), (more, many)):
        assert abs(len(chosen) - share * len(clients)) <= 0.5 + 1e-9
    # Who attacks is told by the ids, not by their order.
    assert attackers(clients[::-1], less, seed) == few


def test_another_seed_chooses_others_and_all_clients_are_chosen_alike():
    clients = [f"writer_{i:03}" for i in range(50)]
    chosen = [attackers(clients, 0.2, seed) for seed in range(200)]
    counts = np.array([sum(client in one for one in chosen) for client in clients])
    assert len(set(chosen)) == 200
    # Binomial with mean 40 and standard deviation 5.7.
    assert counts.min() > 15
    assert counts.max() < 65


def test_attackers_have_other_training_labels_and_nobody_other_test_examples():
    with Digits().load() as honest:
        attacked = AttackedDataset(honest, LabelFlip(), {"writer_03"})
        assert attacked.client_ids == honest.client_ids
        for client in ("writer_03", "writer_04"):
            ours, theirs = attacked.client(client), honest.client(client)
            np.testing.assert_array_equal(ours.x, theirs.x)
            np.testing.assert_array_equal(ours.y, 9 - theirs.y if client == "writer_03" else theirs.y)
        np.testing.assert_array_equal(attacked.test().y, honest.test().y)
