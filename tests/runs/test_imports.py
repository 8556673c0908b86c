"""`fedcli compare` must start at once: nothing in `runs` may import TensorFlow, though it is installed."""

import pkgutil
import subprocess
import sys

import pytest

import fedcli.runs

MODULES = sorted(module.name for module in pkgutil.iter_modules(fedcli.runs.__path__))

USE_EVERYTHING = """
import pathlib, sys, tempfile
import numpy as np
from fedcli.runs import checkpoints, events, metrics, record
made = tempfile.TemporaryDirectory()
folder = pathlib.Path(made.name)
with events.EventWriter(folder, resumed_after=1) as writer:
    writer.scalars(1, {"train/loss": 0.5})
    writer.text(1, "sample", "to be")
    writer.hparams({"seed": 1}, "a", [events.HParamColumn("seed", "number")], ["train/loss"])
    writer.close("completed")
events.truncate_events(folder, 0)
store = checkpoints.CheckpointStore(folder)
store.save(1, [("a", np.zeros(3))], {})
store.latest()
record.RunRecord.begin(id="1", command="train", argv=[], overrides=[], seed=None)
made.cleanup()
"""


def heavy_modules(code: str) -> str:
    heavy = ("tensorflow", "tensorflow_federated", "keras", "jax", "hydra")
    code += f"\nimport sys; print(*[name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_no_module_imports_tensorflow() -> None:
    assert "metrics" in MODULES
    assert heavy_modules("\n".join(f"import fedcli.runs.{name}" for name in MODULES)) == ""


def test_no_function_imports_tensorflow() -> None:
    assert heavy_modules(USE_EVERYTHING) == ""


@pytest.mark.parametrize("name", ["directory", "metrics", "record", "result", "lock"])
def test_the_modules_that_compare_needs_do_not_import_numpy(name: str) -> None:
    code = f"import sys, fedcli.runs.{name}; print('numpy' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"
