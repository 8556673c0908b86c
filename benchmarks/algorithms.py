"""Algorithms against each other: writes `benchmarks/algorithms.md`, a table of each study.

Run it in the checkout, with the data set reachable (see the README on `FEDCLI_ORIGIN`):

    uv run python benchmarks/algorithms.py --out outputs/algorithms --jobs 2

First each algorithm's learning rates (and FedProx's mu) are chosen by short runs with a seed of their own, then the
runs are made with the best. Runs that are there already are kept, unfinished ones go on: stop it and start it again as
you like. On 2 idle cores each table takes about half an hour. So that it does, the model is a dense network of 199,210
parameters and not the CNN; clients pass over their data five times, so that they drift apart.

`--study robust` makes the runs of robust aggregators with attackers alone; see `benchmarks/robustness.py`.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import robustness
from benchmarks.claims import Claim, points
from benchmarks.study import Study, arguments, completed, last_accuracy, make_runs, tables
from fedcli.report.measure import Target, arrival
from fedcli.report.statistics import welch

#: Evaluations whose accuracy is averaged, at the end of a run.
LAST = 3
#: A seed that is none of the runs'.
TUNING_SEED = 100
TUNING_ROUNDS = 60
TARGET = Target("eval/accuracy", 0.9)

#: Name of the study of robust aggregators with attackers, which has settings of its own.
ROBUST = "robust"

_CLIENT, _SERVER = "client_optimizer.learning_rate", "server_optimizer.learning_rate"


def _with(overrides: str, key: str, *values: float) -> list[str]:
    return [f"{overrides} {key}={value:g}".strip() for value in values]


#: What each algorithm is tried with. FedOpt's clients have FedAvg's middle rate; beta and tau are those of Reddi et al.
CANDIDATES = {
    "fed_avg": _with("", _CLIENT, 0.02, 0.05, 0.1),
    "fed_prox": _with(f"algorithm=fed_prox {_CLIENT}=0.05", "algorithm.mu", 0.01, 0.1, 1, 0.001),
    "fed_sgd": _with("algorithm=fed_sgd dataset.client_epochs=1", _SERVER, 0.1, 0.3, 1, 0.03, 0.01),
    "mime_lite": _with(
        "algorithm=mime_lite client_optimizer.momentum=0.9", _CLIENT, 0.002, 0.005, 0.02, 0.001, 0.0005, 0.0002
    ),
    "scaffold": _with("algorithm=scaffold", _CLIENT, 0.02, 0.05, 0.1),
    "fed_avgm": _with(f"{_CLIENT}=0.05 server_optimizer.momentum=0.9", _SERVER, 0.1, 0.3, 1),
    "fed_adagrad": _with(
        f"{_CLIENT}=0.05 server_optimizer=adagrad server_optimizer.initial_preconditioner_value=0 "
        "server_optimizer.epsilon=1e-4",
        *(_SERVER, 0.01, 0.03, 0.1, 0.003),
    ),
    "fed_adam": _with(
        f"{_CLIENT}=0.05 server_optimizer=adam server_optimizer.beta_2=0.99 server_optimizer.epsilon=1e-4",
        *(_SERVER, 0.001, 0.003, 0.01, 0.03),
    ),
    "fed_yogi": _with(
        f"{_CLIENT}=0.05 server_optimizer=yogi server_optimizer.beta_2=0.99 server_optimizer.epsilon=1e-4 "
        "server_optimizer.initial_preconditioner_value=0",
        *(_SERVER, 0.001, 0.003, 0.01, 0.03),
    ),
}


@dataclass(frozen=True)
class TunedStudy:
    """A study whose settings are chosen from candidates.

    Attributes:
        title: Heading of its table.
        command: What every run has in common, but for the rounds.
        rounds: Rounds of its runs.
        candidates: For each row the overrides to choose from; of a single one nothing is tried.
        final: What is added to the runs after the choice.
    """

    title: str
    command: str
    rounds: int
    candidates: dict[str, list[str]]
    final: str = ""

    def tuning(self) -> Study:
        """The short runs."""
        tried = {
            f"{name} {index}": overrides
            for name, several in self.candidates.items()
            if len(several) > 1
            for index, overrides in enumerate(several)
        }
        return Study(self.title, f"{self.command} rounds={TUNING_ROUNDS}", tried, (TUNING_SEED,))

    def chosen(self, folder: Path) -> Study:
        """The study with the best candidate of each row; a row is left out of which none has been tried."""
        tuning = self.tuning()
        best = {}
        for name, several in self.candidates.items():
            tried = {
                overrides: last_accuracy(tables(runs.values())[0], LAST)
                for index, overrides in enumerate(several)
                if (runs := completed(tuning, folder, f"{name} {index}"))
            }
            if tried or len(several) == 1:
                best[name] = max(tried, key=tried.__getitem__) if tried else several[0]
        return Study(self.title, f"{self.command} rounds={self.rounds} {self.final}".strip(), best)


_COMMON = "train dataset=emnist model=mlp clients_per_round=10 dataset.client_epochs=5 eval.every=10"

STUDIES = {
    "writers": TunedStudy(
        "EMNIST digits, 360 writers",
        _COMMON,
        rounds=150,
        candidates=CANDIDATES,
        final="client_eval.every=150 client_eval.personalize_epochs=1",
    ),
    "labels": TunedStudy(
        "EMNIST digits, dealt to 360 clients of about two labels each",
        f"{_COMMON} partition=shards partition.num_clients=360",
        rounds=150,
        candidates=CANDIDATES,
    ),
}


CLAIMS = [
    Claim("fed_avg", "fed_sgd", "McMahan et al. 2017, https://arxiv.org/abs/1602.05629, table 2"),
    Claim("fed_prox", "fed_avg", "Li et al. 2020, https://arxiv.org/abs/1812.06127, with stragglers and label skew"),
    Claim("scaffold", "fed_avg", "Karimireddy et al. 2020, https://arxiv.org/abs/1910.06378, EMNIST by label"),
    Claim("mime_lite", "fed_avg", "Karimireddy et al. 2021, https://arxiv.org/abs/2008.03606, EMNIST by writer"),
    *(
        Claim(name, "fed_avg", "Reddi et al. 2021, https://arxiv.org/abs/2003.00295, EMNIST characters by writer")
        for name in ("fed_avgm", "fed_adagrad", "fed_adam", "fed_yogi")
    ),
]


@dataclass(frozen=True)
class Row:
    """One algorithm, over its seeds.

    Attributes:
        name: Its name.
        accuracies: Mean of the last evaluations' accuracy of each seed.
        rounds: Rounds until the target, of each seed that reached it.
        up: Bits sent by clients in the whole run, the mean over seeds.
        down: Bits sent to clients.
        fairness: By metric of single clients its mean over seeds; empty where it was not measured.
    """

    name: str
    accuracies: list[float]
    rounds: list[float]
    up: float
    down: float
    fairness: dict[str, float]


_FAIRNESS = ("clients/accuracy_p10", "clients/accuracy_std", "personal/accuracy_mean", "personal/accuracy_p10")
_HEAD = f"""# Algorithms

Made by `benchmarks/algorithms.py`. Accuracy: of the held-out examples, the mean of a run's last {LAST} evaluations,
then the mean and standard deviation over seeds; the difference to the first row with its 95 % interval (Welch). Rates
(and FedProx's mu) were chosen for each table by {TUNING_ROUNDS} rounds with seed {TUNING_SEED} on the same held-out
examples. Rounds: until {TARGET.value:.0%} of them are right, the mean of the seeds that got there. Bits: of the whole
run. clients/...: accuracy on single clients' own test examples; personal/...: after a pass over their training data
with the row's client rate, which of fed_sgd is the default.
"""


def main() -> None:
    """Makes the runs that are missing and writes the tables."""
    given = arguments(__doc__.splitlines()[0], "algorithms", {**STUDIES, ROBUST: None}).parse_args()
    document = [_HEAD]
    for key, tuned in STUDIES.items():
        if not given.report and key in given.study:
            wanted = [name for name in tuned.candidates if not given.only or name in given.only]
            tuning = [name for name in tuned.tuning().settings if name.rpartition(" ")[0] in wanted]
            if tuning:  # an empty list would mean all
                make_runs(tuned.tuning(), given.out / key / "tuning", given.jobs, tuning)
            study = tuned.chosen(given.out / key / "tuning")
            make_runs(study, given.out / key, given.jobs, wanted, given.seeds)
        study = tuned.chosen(given.out / key / "tuning")
        if rows := _rows(study, given.out / key):
            document += [f"## {study.title}\n", f"`fedcli {study.command} seed=...`, and:\n"]
            document += [f"- {row.name}: `{study.settings[row.name] or 'nothing'}`" for row in rows]
            document += ["", _table(rows), "", *_claims(rows), ""]
    if not given.report and ROBUST in given.study:
        robustness.make(given.out / ROBUST, given.jobs, given.only, given.seeds)
    document += robustness.report(given.out / ROBUST, LAST)
    Path(__file__).with_suffix(".md").write_text("\n".join(document))


def _rows(study: Study, folder: Path) -> list[Row]:
    rows = []
    for name in study.settings:
        if not (done := completed(study, folder, name)):
            continue
        runs = tables(done.values())
        results = [json.loads(run.result_json.read_text()) for run in done.values()]
        arrivals = [arrived.round for table in runs if (arrived := arrival(table, TARGET))]
        measured = [metric for metric in _FAIRNESS if metric in results[0]["final"]]
        rows.append(
            Row(
                name,
                [last_accuracy(table, LAST) for table in runs],
                arrivals,
                statistics.mean(result["aggregated_bits"] for result in results),
                statistics.mean(result["broadcasted_bits"] for result in results),
                {metric: statistics.mean(result["final"][metric] for result in results) for metric in measured},
            )
        )
    return rows


def _table(rows: Sequence[Row]) -> str:
    metrics = [metric for metric in _FAIRNESS if any(metric in row.fairness for row in rows)]
    titles = ["algorithm", "accuracy, %", f"to {rows[0].name}, points", "rounds", "seeds", "up, Mibit", "down, Mibit"]
    lines = [[*titles, *(f"{metric}, %" for metric in metrics)], ["---", *["---:"] * (len(titles) - 1 + len(metrics))]]
    for row in rows:
        mean = 100 * statistics.mean(row.accuracies)
        spread = f" ± {100 * statistics.stdev(row.accuracies):.2f}" if len(row.accuracies) > 1 else ""
        lines.append(
            [
                row.name,
                f"{mean:.2f}{spread}",
                "" if row is rows[0] else points(welch(row.accuracies, rows[0].accuracies)),
                f"{statistics.mean(row.rounds):.0f}" if row.rounds else "not reached",
                str(len(row.accuracies)),
                f"{row.up / 2**20:,.1f}",
                f"{row.down / 2**20:,.1f}",
                *(f"{100 * row.fairness[metric]:.1f}" if metric in row.fairness else "" for metric in metrics),
            ]
        )
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _claims(rows: Sequence[Row]) -> list[str]:
    """Says which published orderings hold here."""
    accuracies = {row.name: row.accuracies for row in rows}
    judged = [line for claim in CLAIMS if (line := claim.judged(accuracies))]
    return ["Published orderings (of accuracy after as many rounds):\n", *judged] if judged else []


if __name__ == "__main__":
    main()
