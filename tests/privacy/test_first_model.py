"""What the model that a run begins with counts for in its epsilon."""

import json

import dp_accounting
import pytest
from dp_accounting.rdp import RdpAccountant
from hypothesis import given
from hypothesis import strategies as st

from fedcli.privacy.accountant import Accountant, Relation
from fedcli.privacy.first_model import first_model
from fedcli.privacy.mechanism import GaussianSum, SkellamSum
from fedcli.privacy.release import Release

NATURAL = {"name": "natural"}
POISSON = Release(GaussianSum(1.5), "poisson", 100, 10, 7)


def source(*releases, data="aa", **privacy):
    statement = {"epsilon": 1.0, "partition": NATURAL, "releases": [one.to_json() for one in releases], **privacy}
    return {"name": "mine", "run": {"privacy": statement, "inputs": {"data": {"sha256": data}}}}


def judged(pretrained, **keys):
    return first_model(
        pretrained,
        **{
            "data": "aa",
            "partition": NATURAL,
            "relation": Relation.ADD_OR_REMOVE_ONE,
            "is_published": False,
            "is_vouched_for": False,
            **keys,
        },
    )


def test_releases_compose_as_dp_accounting_composes_events():
    found = judged(source(POISSON, Release(GaussianSum(2.0), "poisson", 50, 5, 3)))
    accountant = Accountant(GaussianSum(1.0), "poisson", 100, 10, 1e-5, found.releases)
    by_hand = RdpAccountant()
    for noise, rounds in ((1.5, 7), (2.0, 3), (1.0, 4)):
        by_hand.compose(dp_accounting.PoissonSampledDpEvent(0.1, dp_accounting.GaussianDpEvent(noise)), rounds)
    assert accountant.epsilon(4) == pytest.approx(by_hand.get_epsilon(1e-5), rel=1e-9)
    assert 0 < accountant.epsilon(0) < accountant.epsilon(1)


def test_gaussian_and_skellam_noise_compose_to_more_than_either():
    skellam = SkellamSum(50.0, 5.0, 400.0)
    before = (Release(GaussianSum(2.0), "fixed", 100, 10, 5),)
    both = Accountant(skellam, "fixed", 100, 10, 1e-5, before)
    alone = Accountant(skellam, "fixed", 100, 10, 1e-5)
    assert both.epsilon(5) > max(alone.epsilon(5), Accountant(GaussianSum(2.0), "fixed", 100, 10, 1e-5).epsilon(5))


@pytest.mark.parametrize(
    ("pretrained", "keys", "says"),
    [
        ({"name": "mine", "run": None}, {}, "nothing tells what mine was trained on"),
        (source(POISSON), {"data": None}, "nothing tells whether"),
        (source(POISSON, data=None), {}, "nothing tells whether"),
        (source(POISSON), {"data": "bb"}, "other data"),
        (source(POISSON), {"partition": {"name": "iid", "seed": 1}}, "other data"),
        (source(POISSON), {"relation": Relation.REPLACE_ONE}, "another sampling.scheme"),
        (source(epsilon=None, not_covered="clients are lost"), {}, "clients are lost"),
        (source(epsilon=None), {}, "has not ended"),
        (source(releases=[{"mechanism": {"kind": "gaussian"}}]), {}, "does not tell what it released"),
        (source(releases=None), {}, "does not tell what it released"),
        ({"name": "mine", "run": {"inputs": {"data": {"sha256": "aa"}}, "privacy": None}}, {}, "without noise"),
    ],
)
def test_what_nobody_can_tell_has_a_reason(pretrained, keys, says):
    found = judged(pretrained, **keys)
    assert says in found.reason
    assert not found.releases


@pytest.mark.parametrize("key", ["is_published", "is_vouched_for"])
def test_public_weights_count_for_nothing(key):
    found = judged({"name": "dickens", "run": None}, **{key: True})
    assert (found.reason, found.releases) == (None, ())
    assert found.description.startswith("public weights: dickens")


@given(
    st.one_of(
        st.builds(GaussianSum, st.floats(0, 1e6)),
        st.builds(SkellamSum, st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1e6)),
    ),
    st.integers(1, 10**6),
    st.integers(0, 10**6),
)
def test_releases_survive_json(mechanism, clients, rounds):
    release = Release(mechanism, "fixed", 10**6, clients, rounds)
    assert Release.from_json(json.loads(json.dumps(release.to_json()))) == release


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["mechanism", "kind", "scheme", "rounds"]), inner),
    max_leaves=8,
)


@given(JSON)
def test_anything_else_is_refused(document):
    with pytest.raises(ValueError, match="not a release"):
        Release.from_json(document)
