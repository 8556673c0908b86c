"""What of `runtime=ray` needs no Ray: its config, how data sets travel, and when a cluster is open to others."""

import pickle
import re
from pathlib import Path

import pytest

from fedcli.datasets.digits import Digits
from fedcli.datasets.sqlite import ClientDatabase
from fedcli.errors import ConfigError, DataError
from fedcli.partitions.iid import IID
from fedcli.runtime.cluster.data import packed, unpacked
from fedcli.runtime.cluster.security import Secured, warning
from fedcli.runtime.ray import Ray
from tests.runtime.faulty import Faulty


@pytest.mark.parametrize(
    "address", ["auto", "local", "10.0.0.2:6379", "head.example.org:6379", "ray://head:10001", "[fe80::1]:6379"]
)
def test_addresses(address):
    assert not list(Ray(address=address).problems())


@pytest.mark.parametrize("address", ["", "head", "http://head:6379", "ray://head", "head:port", "a b:1"])
def test_what_is_no_address(address):
    assert [field for field, _ in Ray(address=address).problems()] == ["address"]


def test_problems_name_the_fields():
    config = Ray(
        workers=0, num_cpus=0, num_gpus=-1, group_size=0, data="copy", call_timeout=0, tries=0, start_timeout=0
    )
    assert {field for field, _ in config.problems()} == {
        *("workers", "num_cpus", "num_gpus", "group_size", "data", "call_timeout", "tries", "start_timeout")
    }


class WithDatabase(Faulty):
    def __init__(self, path):
        super().__init__()
        self.database = ClientDatabase(path)


def test_a_database_is_found_in_the_cache_of_the_other_machine(tmp_path, monkeypatch):
    for folder in ("ours", "theirs"):
        (tmp_path / folder / "origin").mkdir(parents=True)
        (tmp_path / folder / "origin" / "data.sqlite").write_bytes(b"data")
    monkeypatch.setenv("FEDCLI_CACHE", str(tmp_path / "ours"))
    data = packed(WithDatabase(tmp_path / "ours" / "origin" / "data.sqlite"))
    monkeypatch.setenv("FEDCLI_CACHE", str(tmp_path / "theirs"))
    assert unpacked(data).database.path == tmp_path / "theirs" / "origin" / "data.sqlite"
    (tmp_path / "theirs" / "origin" / "data.sqlite").write_bytes(b"DATA")
    with pytest.raises(DataError, match="differs"):
        unpacked(data)


def test_a_database_elsewhere_is_found_at_the_same_path(tmp_path, monkeypatch):
    (tmp_path / "data.sqlite").write_bytes(b"data")
    monkeypatch.setenv("FEDCLI_CACHE", str(tmp_path / "cache"))
    data = packed(WithDatabase(tmp_path / "data.sqlite"))
    assert unpacked(data).database.path == tmp_path / "data.sqlite"
    (tmp_path / "data.sqlite").unlink()
    with pytest.raises(DataError, match="No such file") as refusal:
        unpacked(data)
    assert "runtime.data=ship" in refusal.value.hint


@pytest.mark.parametrize("partition", [None, IID(num_clients=30)])
def test_digits_travel_as_they_are(partition):
    dataset = Digits().load()
    dataset = partition.apply(dataset) if partition else dataset
    other = unpacked(packed(dataset))
    assert other.client_ids == dataset.client_ids
    client = dataset.client_ids[3]
    assert (other.client(client).x == dataset.client(client).x).all()


def test_what_cannot_be_sent_is_refused():
    dataset = Faulty()
    dataset.open = lambda: None
    with pytest.raises(ConfigError, match="Faulty cannot be sent"):
        packed(dataset)


def test_the_order_of_examples_travels():
    from tests.runtime.conftest import work

    order = work(0, 1).order
    assert (pickle.loads(pickle.dumps(order))(17) == order(17)).all()  # noqa: S301


def node(address, alive=True):
    return {"NodeManagerAddress": address, "Alive": alive}


BOTH = Secured(token=True, tls=True)


def test_an_open_cluster_is_warned_of():
    text = warning([node("10.0.0.2"), node("10.0.0.3")], [BOTH, Secured(token=False, tls=True)])
    assert "no token authentication" in text
    assert "TLS" not in text
    assert "no TLS" in warning([node("10.0.0.2")], [Secured(token=True, tls=False)])


def test_an_open_agent_is_warned_of_on_one_machine_too():
    open_agent = Secured(token=True, tls=True, open_agent="127.0.0.1:52365")
    text = warning([node("127.0.0.1")], [BOTH, open_agent])
    assert "without the token" in text
    assert "127.0.0.1:52365" in text
    assert "reachable from other machines" not in text
    assert "--dashboard-agent-listen-port=-1" in text


def test_every_ray_start_of_the_guide_closes_the_agent():
    guide = (Path(__file__).parents[2] / "docs" / "cluster.md").read_text().replace("\\\n", " ")
    commands = [line for line in guide.splitlines() if re.match(r"(srun .*)?\s*ray start --", line)]
    assert len(commands) == 4
    assert all("--dashboard-agent-listen-port=-1" in command for command in commands)


def test_a_closed_cluster_is_not():
    assert warning([node("10.0.0.2")], [BOTH]) is None
    alone = [node("127.0.0.1"), node("10.0.0.2", alive=False)]
    assert warning(alone, [Secured(token=False, tls=False, open_agent="127.0.0.1:52365")]) is None
