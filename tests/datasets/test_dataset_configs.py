import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from fedcli.datasets import datasets

CONF = Path(__file__).parents[2] / "conf" / "dataset"

HEAVY = """
import sys
from fedcli.datasets import datasets
datasets.components
import fedcli.datasets.importing.build, fedcli.datasets.importing.tables
import fedcli.datasets.importing.images, fedcli.datasets.importing.texts
import fedcli.datasets.inspect, fedcli.datasets.label_shares, fedcli.text.vocabulary, fedcli.partitions
fedcli.partitions.partitions.components
heavy = {"tensorflow", "sklearn", "scipy", "requests", "rich", "PIL", "pyarrow", "matplotlib"}
print(*sorted(heavy & sys.modules.keys()))
"""


@pytest.mark.parametrize("name", ["digits", "emnist", "imported", "shakespeare"])
def test_yaml_has_every_field_with_its_default(name):
    values = OmegaConf.to_container(OmegaConf.load(CONF / f"{name}.yaml"))
    component = datasets[name]
    assert set(values) == {field.name for field in dataclasses.fields(component)}
    assert component(**values) == component(name=name)
    # The dataclass is also the schema of the file.
    OmegaConf.merge(OmegaConf.structured(component), values, {"clients": ["a"]})


def test_shakespeare_batches_are_the_studys():
    assert datasets["shakespeare"](name="shakespeare").batch_size == 8


def test_problems():
    config = datasets["shakespeare"](
        name="shakespeare", batch_size=0, client_epochs=-1, max_batches_per_client=0, sequence_length=0
    )
    fields = [field for field, _ in config.problems()]
    assert fields == ["batch_size", "client_epochs", "max_batches_per_client", "sequence_length"]
    assert list(datasets["digits"](name="digits").problems()) == []


def test_importing_data_sets_imports_nothing_heavy():
    found = subprocess.run([sys.executable, "-c", HEAVY], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""
