"""Robust aggregators with attackers: the part of `benchmarks/algorithms.py` that compares them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

from benchmarks.claims import Claim
from benchmarks.study import Study, completed, last_accuracy, make_runs, tables

#: How a fifth of the clients, the default, attacks.
ATTACKS = {
    "none": "",
    "sign_flip": "attack=sign_flip attack.factor=4",
    "label_flip": "attack=label_flip",
    "noise": "attack=noise attack.standard_deviation=1",
    "scaled": "attack=scaled attack.factor=10",
}
#: A fifth of all clients can be 3 of the 10 of a round: what trimmed_mean leaves out, and krum assumes by itself.
AGGREGATORS = {
    "mean": "aggregator=mean",
    "robust": "aggregator=robust",
    "geometric_median": "aggregator=geometric_median",
    "coordinate_median": "aggregator=coordinate_median",
    "trimmed_mean": "aggregator=trimmed_mean aggregator.trim=0.3",
    "krum": "aggregator=krum",
    "multi_krum": "aggregator=krum aggregator.selected=7",
}
_COMMAND = (
    "train dataset=emnist model=mlp clients_per_round=10 dataset.client_epochs=5 client_optimizer.learning_rate=0.05 "
    "eval.every=5 rounds=30"
)
#: By attack.
CLAIMS = {
    "none": [
        Claim("mean", "krum", "Blanchard et al. 2017: the cost of Krum where nobody attacks"),
        Claim("multi_krum", "krum", "the same"),
    ],
    "noise": [
        Claim("krum", "mean", "Blanchard et al. 2017, Gaussian noise of 33 % of the workers"),
        Claim(
            "geometric_median", "mean", "Pillutla et al. 2022, https://arxiv.org/abs/1912.13445, Gaussian corruption"
        ),
    ],
    "label_flip": [
        Claim("coordinate_median", "mean", "Yin et al. 2018, https://arxiv.org/abs/1803.01498, flipped digits"),
        Claim("trimmed_mean", "mean", "the same"),
    ],
    "sign_flip": [Claim("geometric_median", "mean", "Li et al. 2019, https://arxiv.org/abs/1811.03761, sign-flipping")],
}


def studies() -> dict[str, Study]:
    """Returns the study of each attack."""
    return {
        attack: Study(attack, f"{_COMMAND} {overrides}".strip(), AGGREGATORS) for attack, overrides in ATTACKS.items()
    }


def make(folder: Path, jobs: int, only: Sequence[str] | None = None, seeds: Sequence[int] | None = None) -> None:
    """Makes the runs that are missing.

    Args:
        folder: Where.
        jobs: Runs at a time.
        only: The aggregators; None for all.
        seeds: The seeds; None for all.
    """
    for attack, study in studies().items():
        make_runs(study, folder / attack, jobs, only, seeds)


def report(folder: Path, last: int) -> list[str]:
    """Writes the table as lines of Markdown; none where there are no runs.

    Args:
        folder: Where the runs are.
        last: Evaluations whose accuracy is averaged, at the end of a run.
    """
    accuracies = {
        attack: {
            name: [last_accuracy(table, last) for table in tables(completed(study, folder / attack, name).values())]
            for name in AGGREGATORS
        }
        for attack, study in studies().items()
    }
    if not any(map(len, (runs for found in accuracies.values() for runs in found.values()))):
        return []
    lines = [
        "## Robust aggregators, EMNIST digits, 20 % of 360 writers attack\n",
        f"`fedcli {_COMMAND} seed=...`, accuracy in %, and:\n",
        *(f"- {name}: `{overrides}`" for name, overrides in (ATTACKS | AGGREGATORS).items() if overrides),
        "",
        f"| aggregator | {' | '.join(ATTACKS)} | seeds |",
        f"| --- |{' ---: |' * (len(ATTACKS) + 1)}",
    ]
    for name in AGGREGATORS:
        counts = sorted({len(accuracies[attack][name]) for attack in ATTACKS})
        cells = [_cell(accuracies[attack][name]) for attack in ATTACKS]
        lines.append(f"| {name} | {' | '.join(cells)} | {' to '.join(map(str, counts[:1] + counts[1:][-1:]))} |")
    judged = {
        attack: [line for claim in claims if (line := claim.judged(accuracies[attack]))]
        for attack, claims in CLAIMS.items()
    }
    if any(judged.values()):
        lines += ["", "Published orderings (of accuracy after as many rounds):\n"]
        for attack, found in judged.items():
            lines += [line.replace("- ", f"- {attack}: ", 1) for line in found]
    return [*lines, ""]


def _cell(accuracies: Sequence[float]) -> str:
    if not accuracies:
        return ""
    spread = f" ± {100 * statistics.stdev(accuracies):.2f}" if len(accuracies) > 1 else ""
    return f"{100 * statistics.mean(accuracies):.2f}{spread}"
