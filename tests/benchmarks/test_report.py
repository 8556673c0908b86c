from typing import Any

from benchmarks.cases import Target
from benchmarks.report import report
from benchmarks.whole import comparison

MACHINE = {"processor": "Processor 3000", "cores": 2, "memory_gb": 24.0, "kernel": "6.1", "python": "3.11.7"}


def _case(comparisons: dict[str, Any], others: float = 0.01, **conditions: Any) -> dict[str, Any]:
    usual = {"machine": MACHINE, "source": "a", "repeats": 5, "rounds_share": 1.0}
    facts = {"others": others, "measured": "2026-01-01T00:00:00+00:00", "took": 1.0}
    return {
        "conditions": usual | conditions,
        "comparisons": {name: {**of, **facts} for name, of in comparisons.items()},
    }


def _work(steps: int) -> dict[str, Any]:
    done = {"accuracy": 0.5, "loss": 1.25, "batch": [20, 28, 28, 1], "dtype": "float32", "versions": {"jax": "0.4.30"}}
    return {"rounds": 4, "steps": steps, "examples": 20 * steps, **done}


def _row(text: str, *parts: str) -> str:
    (row,) = [line for line in text.splitlines() if all(part in line for part in parts)]
    return row


def test_a_row_has_medians_ratio_spread_and_verdict() -> None:
    pairs = [[1.0, 2.0], [1.0, 4.0], [3.0, 4.0]]
    text = report({"cnn-10": _case({"tff": comparison("a round", "s", ("fedcli", "tff"), pairs, Target(0.4))})})
    assert _row(text, "TFF tutorial") == (
        "| a round | fedcli | 1 s | TFF tutorial | 4 s | 0.50 (0.38 to 0.62) | 3 | ≤ 0.40 | **missed** |"
    )
    assert "Processor 3000, 2 cores, 24.0 GB" in text


def test_a_target_that_is_reached_is_met() -> None:
    level = comparison("a round", "s", ("fedcli", "tff"), [[2.0, 2.0]], Target(1.0))
    assert _row(report({"cnn-10": _case({"tff": level})}), "TFF tutorial").endswith("| ≤ 1.00 | met |")
    beaten = comparison("a round", "s", ("fedcli", "tff"), [[2.0, 2.0]], Target(1.0, strictly=True))
    assert _row(report({"cnn-10": _case({"tff": beaten})}), "TFF tutorial").endswith("| < 1.00 | **missed** |")


def test_the_better_hand_written_loop_counts() -> None:
    def by_hand(name: str, seconds: float) -> dict[str, Any]:
        return comparison("a round", "s", ("fedcli", name), [[1.0, seconds]], Target(1.0))

    both = {"clients": by_hand("clients", 0.9), "operations": by_hand("operations", 1.5)}
    text = report({"cnn-10": _case(both)})
    assert _row(text, "a thread a client").endswith("| ≤ 1.00 | **missed** |")
    assert _row(text, "threads in operations").endswith("|  |  |")


def test_what_was_skipped_or_failed_says_why() -> None:
    skipped = comparison("a round", "s", ("fedcli", "pfl"), [], Target(1.0), skipped="it does not install: a|b\nc")
    failed = comparison("a round", "s", ("fedcli", "tff"), [], Target(0.4), failed="steps differ: fedcli 9, tff 8")
    text = report({"cnn-10": _case({"pfl": skipped, "tff": failed})})
    assert "skipped: it does not install: a/b c" in _row(text, "pfl-research")
    assert "failed: steps differ: fedcli 9, tff 8" in _row(text, "TFF tutorial")


def test_the_work_of_each_side_is_shown_once() -> None:
    def of(name: str) -> dict[str, Any]:
        work = {"fedcli": _work(80), name: _work(80)}
        return comparison("a round", "s", ("fedcli", name), [[1.0, 2.0]], work=work)

    text = report({"cnn-10": _case({"tff": of("tff"), "fedjax": of("fedjax")})})
    assert _row(text, "| fedcli | 4 |") == (
        "| fedcli | 4 | 80 | 1600 | 20x28x28x1 | float32 | 0.5000 | 1.2500 | jax 0.4.30 |"
    )


def test_a_whole_case_that_failed_is_reported() -> None:
    text = report({"sweep": _case({"all": {"failed": "ended with exit code 1"}})})
    assert "Failed: ended with exit code 1" in text


def test_busy_machines_trials_and_mixed_code_are_marked() -> None:
    one = {"tff": comparison("a round", "s", ("fedcli", "tff"), [[1.0, 2.0]])}
    assert "not to be trusted" not in report({"mlp": _case(one)})
    assert "others used up to 1.5 cores" in report({"mlp": _case(one, others=1.5)})
    assert "A trial" in report({"mlp": _case(one, repeats=1)})
    assert "Not of one state" in report({"mlp": _case(one), "cnn-10": _case(one, source="b")})
