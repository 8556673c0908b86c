import json
from pathlib import Path

from benchmarks.results import Results

CONDITIONS = {"source": "a", "repeats": 5}


def test_a_stopped_run_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    first = Results(path)
    first.begin("cnn", CONDITIONS)
    first.add("cnn", "tff", {"pairs": [[1.0, 2.0]]})

    again = Results(path)
    again.begin("cnn", CONDITIONS)
    assert again.has("cnn", "tff")
    assert not again.has("cnn", "pfl")
    assert again.cases["cnn"]["comparisons"] == {"tff": {"pairs": [[1.0, 2.0]]}}


def test_other_conditions_measure_the_case_anew_and_leave_the_others(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    results = Results(path)
    for case in ("cnn", "mlp"):
        results.begin(case, CONDITIONS)
        results.add(case, "tff", {"pairs": [[1.0, 2.0]]})

    results.begin("cnn", {**CONDITIONS, "source": "b"})
    assert not results.has("cnn", "tff")
    assert results.has("mlp", "tff")


def test_what_is_skipped_is_kept_and_what_failed_is_tried_again(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.json")
    results.begin("cnn", CONDITIONS)
    results.add("cnn", "pfl", {"skipped": "it does not install"})
    results.add("cnn", "tff", {"failed": "it ended"})
    assert results.has("cnn", "pfl")
    assert not results.has("cnn", "tff")


def test_forgotten_cases_are_measured_again(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.json")
    results.begin("cnn", CONDITIONS)
    results.add("cnn", "tff", {"pairs": [[1.0, 2.0]]})
    results.forget(["cnn", "mlp"])
    results.begin("cnn", CONDITIONS)
    assert not results.has("cnn", "tff")


def test_the_file_has_its_version_and_every_case(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    results = Results(path)
    results.begin("cnn", CONDITIONS)
    results.add("cnn", "tff", {"pairs": []})
    written = json.loads(path.read_text())
    assert written["schema_version"] == 1
    assert list(written["cases"]) == ["cnn"]
