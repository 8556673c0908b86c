import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedcli.datasets.client_ids import ClientIds

TEXTS = st.lists(st.text(st.characters(exclude_categories=("Cs",)), max_size=4), unique=True, max_size=20).map(sorted)


@given(TEXTS, st.text(max_size=4), st.slices(20))
def test_behaves_as_the_list_of_its_ids(ids, other, some):
    client_ids = ClientIds(iter(ids))
    assert len(client_ids) == len(ids)
    assert list(client_ids) == ids == [client_ids[place] for place in range(len(ids))]
    assert client_ids[some] == ids[some]
    assert all(client in client_ids for client in ids)
    assert (other in client_ids) == (other in ids)
    assert client_ids == ids
    assert client_ids == ClientIds(ids)
    assert client_ids != [*ids, "more"]
    assert client_ids != ClientIds([*ids, "more"])
    if ids:
        assert client_ids[-1] == ids[-1]
    for beyond in (len(ids), -len(ids) - 1):
        with pytest.raises(IndexError):
            client_ids[beyond]


def test_ids_that_only_their_ends_tell_apart():
    assert ClientIds(["a", "bc"]) != ClientIds(["ab", "c"])
    assert 3 not in ClientIds(["3"])
    assert ClientIds(["a", "b", "c", "d"])[1] == "b"
    assert repr(ClientIds("abcd")) == "ClientIds(['a', 'b', 'c'], 4 in all)"
