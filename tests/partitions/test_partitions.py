import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedcli.config.checks import check
from fedcli.config.schema import TrainConfig
from fedcli.datasets import datasets
from fedcli.datasets.base import DataSpec, Examples, FederatedDataset
from fedcli.errors import ConfigError
from fedcli.partitions import partitions
from fedcli.partitions.natural import Natural

SYNTHETIC = ["dirichlet", "iid", "quantity", "shards"]


class Numbered(FederatedDataset):
    """Examples whose input is their number, so that each can be recognised."""

    def __init__(self, labels, clients=5, classes=10):
        self.spec = DataSpec("table", (1,), "float32", (), classes, clients)
        self.client_ids = [f"c{i}" for i in range(clients)]
        self._y = dict(zip(self.client_ids, np.array_split(np.asarray(labels, np.int32), clients), strict=True))
        numbers = np.array_split(np.arange(len(labels), dtype=np.float32)[:, None], clients)
        self._x = dict(zip(self.client_ids, numbers, strict=True))
        self.closed = False

    def client(self, client_id):
        return Examples(self._x[client_id], self._y[client_id])

    def test(self, max_examples=None):
        return Examples(np.full((3, 1), -1, np.float32), np.zeros(3, np.int32))

    def close(self):
        self.closed = True


def config(name, **keys):
    return partitions[name](name=name, **keys)


def counts(dataset, classes):
    return np.array([np.bincount(dataset.client(client).y, minlength=classes) for client in dataset.client_ids])


labels_of_examples = st.lists(st.integers(0, 4), min_size=12, max_size=200)


@pytest.mark.parametrize("name", SYNTHETIC)
@settings(deadline=None, max_examples=60)
@given(labels=labels_of_examples, num_clients=st.integers(1, 6), seed=st.integers(0, 5), data=st.data())
def test_every_example_goes_to_exactly_one_client(name, labels, num_clients, seed, data):
    keys = {"alpha": data.draw(st.sampled_from([1e-6, 0.01, 1.0, 1e6]))} if name in ("dirichlet", "quantity") else {}
    whole = Numbered(labels)
    dealt = config(name, num_clients=num_clients, seed=seed, **keys).apply(whole)
    assert len(dealt.client_ids) == dealt.spec.num_clients == num_clients
    parts = [dealt.client(client) for client in dealt.client_ids]
    numbers = np.concatenate([part.x[:, 0] for part in parts])
    assert sorted(numbers) == list(range(len(labels)))
    # Each with its own label.
    np.testing.assert_array_equal(np.concatenate([part.y for part in parts]), np.array(labels)[numbers.astype(int)])
    assert dealt.sizes() == {client: len(part) for client, part in zip(dealt.client_ids, parts, strict=True)}
    assert min(dealt.sizes().values()) >= 1
    if name != "quantity":
        spread = np.ptp(list(dealt.sizes().values()))
        assert spread <= (2 if name == "shards" else 1)
    # The test split stays whole.
    assert len(dealt.test()) == dealt.test_size() == 3
    dealt.close()
    assert whole.closed


@pytest.mark.parametrize("name", SYNTHETIC)
def test_the_same_seed_makes_the_same_clients(name):
    whole = Numbered(np.arange(300) % 10)

    def dealt(seed):
        partition = config(name, num_clients=7, seed=seed).apply(whole)
        return [partition.client(client).x[:, 0].tolist() for client in partition.client_ids]

    assert dealt(3) == dealt(3)
    assert dealt(3) != dealt(4)


def test_iid_shares_differ_by_chance_only():
    labels = np.repeat(np.arange(10), 2000)
    found = counts(config("iid", num_clients=100).apply(Numbered(labels)), 10)
    # Chi-square of the table, 99 * 9 degrees of freedom: mean 891, standard deviation sqrt(2 * 891) = 42.
    assert abs(((found - 20) ** 2 / 20).sum() - 891) < 4 * 42


@pytest.mark.parametrize("alpha", [0.1, 1.0, 10.0, 1000.0])
def test_dirichlet_shares_vary_as_alpha_says(alpha):
    """The mean over clients of the sum of squared label shares against its expectation.

    For q ~ Dir(alpha p): E sum q^2 = s + (1 - s) / (alpha + 1) with s = sum p^2; for the shares in n examples drawn
    from q, (1 - that) / n more. With 2,000 clients of 25 examples and three seeds the standard error of the mean is
    below 0.003 (the standard deviation of one client's is below 0.23); that the last clients take what is left shifts
    it by up to 0.007 (less with more clients): 0.012 is allowed in all. An alpha that is wrong by a factor of 1.2 is
    found at alpha = 1, where it makes 0.04.
    """
    labels = np.repeat(np.arange(10), [8000, 7000, 6000, 5000, 5000, 5000, 4000, 4000, 3000, 3000])
    p = np.bincount(labels) / len(labels)
    whole = (p**2).sum()
    expected = whole + (1 - whole) / (alpha + 1)
    expected += (1 - expected) / 25
    found = []
    for seed in range(3):
        partition = config("dirichlet", num_clients=2000, alpha=alpha, seed=seed)
        shares = counts(partition.apply(Numbered(labels)), 10) / 25
        found.append((shares**2).sum(axis=1).mean())
        np.testing.assert_allclose(shares.mean(axis=0), p, atol=1e-12)
    assert np.mean(found) == pytest.approx(expected, abs=0.012)


def test_dirichlet_does_not_leave_the_rest_to_the_last_clients():
    labels = np.repeat(np.arange(10), 2000)
    shares = counts(config("dirichlet", num_clients=400, alpha=0.1).apply(Numbered(labels)), 10) / 50
    largest = shares.max(axis=1)
    # Of Dir(0.1 p) the largest share has a standard deviation of about 0.18: 0.013 for the mean of 200.
    assert largest[:200].mean() == pytest.approx(largest[200:].mean(), abs=0.06)


def test_dirichlet_deals_a_label_without_examples_to_nobody():
    found = counts(config("dirichlet", num_clients=4).apply(Numbered([0, 0, 0, 3] * 10)), 5)
    assert found.sum(axis=0).tolist() == [30, 0, 0, 10, 0]


def test_shards_are_the_papers():
    """MNIST's sizes: 200 shards of 300 examples, two a client (section 3 of the paper)."""
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(10), 6000))
    dealt = config("shards", num_clients=100, shards_per_client=2).apply(Numbered(labels))
    found = counts(dealt, 10)
    assert set(found.sum(axis=1)) == {600}
    # 6,000 examples of a label are 20 whole shards: no shard has two labels.
    assert set(np.unique(found)) == {0, 300, 600}
    assert set((found > 0).sum(axis=1)) == {1, 2}


def test_a_shard_says_nothing_of_the_client_it_came_from():
    dealt = config("shards", num_clients=10, shards_per_client=1).apply(Numbered(np.zeros(1000), clients=10))
    origins = [set(dealt.client(client).x[:, 0].astype(int) // 100) for client in dealt.client_ids]
    assert all(len(origin) == 10 for origin in origins)


def test_quantity_is_skewed_as_alpha_says_and_labels_are_not():
    whole = Numbered(np.arange(40000) % 10)
    few = np.array(list(config("quantity", num_clients=20, alpha=0.1).apply(whole).sizes().values()))
    equal = np.array(list(config("quantity", num_clients=20, alpha=1e4).apply(whole).sizes().values()))
    assert few.sum() == equal.sum() == 40000
    # Variance of a share of Dir(alpha): (19/20)(1/20) / (20 alpha + 1).
    assert equal.std() / 40000 == pytest.approx(np.sqrt(0.0475 / (20e4 + 1)), rel=0.5)
    assert few.max() > 5 * 2000
    largest = config("quantity", num_clients=20, alpha=0.1).apply(whole)
    shares = counts(largest, 10)[np.argmax(few)] / few.max()
    np.testing.assert_allclose(shares, 0.1, atol=0.02)


def test_a_partition_of_a_data_set_that_reads_single_rows_is_the_same(mirror):
    """EMNIST reads rows from its database; the base class reads whole clients."""
    emnist = datasets["emnist"](name="emnist", clients=None)
    with emnist.load() as dataset:
        np.testing.assert_array_equal(dataset.labels(), FederatedDataset.labels(dataset))
        positions = np.sort(np.random.default_rng(0).choice(len(dataset.labels()), 50, replace=False))
        fast, slow = dataset.pick(positions), FederatedDataset.pick(dataset, positions)
        np.testing.assert_array_equal(fast.x, slow.x)
        np.testing.assert_array_equal(fast.y, slow.y)
        np.testing.assert_array_equal(fast.y, dataset.labels()[positions])


def test_text_is_dealt_by_sequences(mirror):
    with config("iid", num_clients=20).apply(datasets["shakespeare"](name="shakespeare").load()) as dealt:
        assert len(dealt.client("client_00")) == dealt.sizes()["client_00"]
        assert dealt.client("client_07").x.shape[1] == 100


def test_clients_of_the_data_set_decide_what_is_dealt():
    whole = datasets["digits"](name="digits", clients=["writer_03"])
    dealt = config("iid", num_clients=4).apply(whole.load())
    expected = whole.load().client("writer_03").x
    assert sum(dealt.sizes().values()) == len(expected)
    found = np.concatenate([dealt.client(client).x for client in dealt.client_ids])
    assert sorted(x.tobytes() for x in found) == sorted(x.tobytes() for x in expected)


def test_natural_leaves_the_data_set_as_it_is():
    whole = Numbered([0] * 10)
    assert Natural().apply(whole) is whole
    assert Natural().count(13) == 13


@pytest.mark.parametrize(
    ("name", "keys", "examples", "most"),
    [("iid", {"num_clients": 11}, 10, 10), ("shards", {"num_clients": 6, "shards_per_client": 2}, 11, 5)],
)
def test_too_few_examples(name, keys, examples, most):
    with pytest.raises(ConfigError, match=rf"there are {examples} training examples") as caught:
        config(name, **keys).apply(Numbered([0] * examples))
    assert caught.value.hint == f"set partition.num_clients to at most {most}"
    config(name, **{**keys, "num_clients": most}).apply(Numbered([0] * examples))


@pytest.mark.parametrize("name", ["dirichlet", "shards"])
def test_text_has_no_labels_to_deal_by(name):
    spec = DataSpec("text", (10,), "int32", (10,), 86, 5)
    with pytest.raises(ConfigError, match="of a text data set have none"):
        config(name).check(spec)
    config("iid").check(spec)


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("iid", {"num_clients": 0}),
        ("iid", {"seed": -1}),
        ("dirichlet", {"alpha": 0.0}),
        ("dirichlet", {"alpha": float("nan")}),
        ("quantity", {"alpha": float("inf")}),
        ("shards", {"shards_per_client": 0}),
    ],
)
def test_values_that_make_no_sense(name, keys):
    assert [field for field, _ in config(name, **keys).problems()] == list(keys)


def test_clients_of_a_round_are_checked_against_the_partition():
    base = TrainConfig(
        **{
            group: _default(group)
            for group in ("model", "algorithm", "client_optimizer", "server_optimizer", "aggregator", "distributor")
        },
        dataset=datasets["digits"](name="digits"),
        runtime=_default("runtime"),
        clients_per_round=50,
    )
    with pytest.raises(ConfigError, match="dataset=digits has 13 clients"):
        check(base)
    check(dataclasses.replace(base, partition=config("iid", num_clients=50)))
    with pytest.raises(ConfigError, match="partition=iid makes 49 clients"):
        check(dataclasses.replace(base, partition=config("iid", num_clients=49)))


def _default(group):
    from fedcli.components.groups import groups

    names = {
        "model": "cnn",
        "algorithm": "fed_avg",
        "client_optimizer": "sgd",
        "server_optimizer": "sgd",
        "aggregator": "mean",
        "distributor": "broadcast",
        "runtime": "local",
    }
    return groups()[group][names[group]](name=names[group])
