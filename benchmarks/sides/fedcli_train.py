"""fedcli: the command `fedcli train`, which also says when a round is done and how many steps it had."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.sides.protocol import Reporter, arguments
from benchmarks.workload import Workload

if TYPE_CHECKING:
    from fedcli.runtime.engine.compiled import CompiledRound


def main() -> None:
    """Runs the command in this process. The options are further overrides."""
    plan, reporter, options = arguments()
    settings = dict(plan.settings)
    participants = settings.pop("participants")
    overrides = replaced(Workload(**settings).overrides(participants), options)
    # Before TensorFlow is imported, which reads it.
    from fedcli.runtime.tensorflow_settings import set_up_tensorflow

    set_up_tensorflow()
    trained = _report_rounds(reporter)

    from fedcli.cli.main import main as fedcli

    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        # Checkpoints are part of a user's run, but no side but fedcli writes any.
        sys.argv = ["fedcli", "train", *overrides, f"checkpoint.every={plan.rounds}", f"hydra.run.dir='{run}'", "-q"]
        try:
            fedcli()
        except SystemExit as end:
            if end.code:
                raise
        result = json.loads((run / "result.json").read_text())
    final = result["final"]
    (compiled,) = {id(one): one for one in trained}.values()
    batch = [plan.batch_size, *compiled.batch[0].shape[1:]]
    dtype = str(compiled.state[compiled.model_weights()[0][0]].dtype)
    reporter.done(final["eval/accuracy"], final["eval/loss"], batch, dtype, ["tensorflow", "tensorflow-federated"])


def replaced(overrides: Sequence[str], others: Sequence[str]) -> list[str]:
    """Returns overrides with others in the place of those of the same key."""
    keys = {other.partition("=")[0] for other in others}
    return [*(override for override in overrides if override.partition("=")[0] not in keys), *others]


def _report_rounds(reporter: Reporter) -> list[CompiledRound]:
    """Lets the experiment report each round's metrics, whose number of batches metrics.csv does not have.

    Returns:
        What the rounds were compiled to, one entry a round, filled as they are done.
    """
    from fedcli.training.setup import Experiment

    measured = Experiment.measured
    trained: list[CompiledRound] = []

    def reporting(self: Experiment, metrics: Mapping[str, Any]) -> Any:
        row = measured(self, metrics)
        trained.append(self.compiled)
        steps, examples = (int(metrics[f"client_work/train/num_{of}"]) for of in ("batches", "examples"))
        reporter.round(len(trained), steps, examples)
        return row

    Experiment.measured = reporting  # type: ignore[method-assign]
    return trained


if __name__ == "__main__":
    main()
