"""A third party's aggregator: a class in its own package, an entry point, and a folder of YAML files."""

import json
from pathlib import Path

import pytest
import yaml

from fedcli.runs.directory import find_runs
from fedcli.runs.metrics import read_metrics

CODE = """
from dataclasses import dataclass
from fedcli.aggregators.base import AggregatorConfig

@dataclass(frozen=True)
class Theirs(AggregatorConfig):
    name: str = "theirs"
    factor: float = 1.0

    def build(self, *, weighted):
        import tensorflow_federated as tff

        # Clips to a norm that no update reaches; it reports how many updates it clipped.
        mean = tff.aggregators.MeanFactory if weighted else tff.aggregators.UnweightedMeanFactory
        return tff.aggregators.clipping_factory(1e9 * self.factor, mean())
"""

TINY = ["model=mlp", "model.hidden_units=[4]", "clients_per_round=2", "eval.max_examples=50"]
POINTS = "[fedcli.aggregator]\ntheirs = their_package.aggregator:Theirs\n"


@pytest.fixture
def plugin(tmp_path):
    """An installed distribution, and a folder of YAML files beside it."""
    site = tmp_path / "site"
    (site / "their_package").mkdir(parents=True)
    (site / "their_package" / "__init__.py").touch()
    (site / "their_package" / "aggregator.py").write_text(CODE)
    metadata = site / "their_package-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: their-package\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(POINTS)
    conf = tmp_path / "conf"
    (conf / "aggregator").mkdir(parents=True)
    (conf / "aggregator" / "theirs.yaml").write_text("name: theirs\nfactor: 0.5\n")
    return site, conf


@pytest.fixture
def run(run_cli, plugin, tmp_path):
    """Runs fedcli train where the distribution is installed."""
    site, conf = plugin
    path = f"{site}:{Path(__file__).parents[1]}"

    def run(*arguments):
        return run_cli("train", *arguments, "--config-dir", conf, env={"PYTHONPATH": path}, cwd=tmp_path)

    return run


def test_its_config_is_composed(run):
    done = run("aggregator=theirs", "--cfg", "job")
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load(done.stdout)["aggregator"] == {"name": "theirs", "factor": 0.5}


def test_its_keys_are_checked(run):
    done = run("aggregator=theirs", "aggregator.facto=1")
    assert done.returncode == 2
    assert "did you mean factor" in done.stderr
    done = run("aggregator=theirs", "aggregator.factor=x")
    assert done.returncode == 2
    assert "aggregator.factor=x: must be a number" in done.stderr


def test_it_is_among_the_choices(run):
    done = run("aggregator=theris")
    assert done.returncode == 2
    assert "did you mean theirs? choose one of: " in done.stderr
    assert ", theirs" in done.stderr


def test_it_trains(run, tmp_path):
    done = run("aggregator=theirs", "rounds=1", *TINY, "--json", "-q")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] == "completed"
    (record,) = find_runs([tmp_path / "outputs"])
    assert yaml.safe_load(record.config_yaml.read_text())["aggregator"] == {"name": "theirs", "factor": 0.5}
    assert [row["round"] for row in read_metrics(record.metrics_csv)] == [0, 1]
    # What only this aggregator measures is logged beside the common columns.
    assert "clip" in record.metrics_csv.read_text().splitlines()[0]
