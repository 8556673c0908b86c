from fedcli.report.comparison import compare
from fedcli.report.group import INPUTS, differing_keys, group_runs, separating_keys, telling_keys
from fedcli.report.load import load_runs
from fedcli.report.results import Question
from tests.report.synthetic import write_run

MEAN = {"aggregator.name": "mean", "lr": 0.1, "rounds": 5}
SMALL = {"aggregator.name": "small", "aggregator.bits": 4, "lr": 0.1, "rounds": 5}


def test_keys_that_follow_from_a_choice_tell_nothing():
    assert differing_keys([MEAN, SMALL]) == ["aggregator.name", "aggregator.bits"]
    assert telling_keys([MEAN, SMALL]) == ["aggregator.name"]
    assert telling_keys([MEAN, SMALL, {**SMALL, "aggregator.bits": 8}]) == ["aggregator.name", "aggregator.bits"]


def test_equal_numbers_are_one_value_but_truth_is_another():
    assert differing_keys([{"x": 1}, {"x": 1.0}]) == []
    assert differing_keys([{"x": 1}, {"x": True}]) == ["x"]
    assert differing_keys([{"x": None}, {}]) == ["x"]


def test_labels_need_few_keys():
    both = {**SMALL, "lr": 0.2}
    assert telling_keys([MEAN, both]) == ["aggregator.name", "lr"]
    assert separating_keys([MEAN, both], ["lr", "aggregator.name"]) == ["aggregator.name"]


def inputs(data=None, pretrained=None, **sources):
    return {
        "data": {"name": "digits", "sha256": data},
        "pretrained": pretrained and {"name": "m", "sha256": pretrained, "run": None},
        "sources": sources,
    }


def grouped(tmp_path, *records):
    """Returns the seeds of each group of runs that differ in seed and record only, and its inputs."""
    for seed, record in enumerate(records, 1):
        origin = record.pop("origin", "null")
        write_run(tmp_path / str(seed), seed=seed, config=f"dataset.origin: {origin}\n", **record)
    groups, repeats = group_runs(load_runs([tmp_path]).runs)
    assert not repeats
    return {tuple(group.seeds): {key: group.config[key] for key in INPUTS if key in group.config} for group in groups}


def test_runs_of_other_data_or_another_first_model_are_kept_apart(tmp_path):
    first, second = "a" * 64, "b" * 64
    same = {"inputs": inputs(first)}
    assert grouped(tmp_path / "one", same, {"inputs": inputs(first), "origin": "file:///elsewhere"}) == {(1, 2): {}}
    assert grouped(tmp_path / "two", {"inputs": inputs(first)}, {"inputs": inputs(second)}) == {
        (1,): {"data": "aaaaaaaa"},
        (2,): {"data": "bbbbbbbb"},
    }
    assert grouped(tmp_path / "three", {"inputs": inputs(first, first)}, {"inputs": inputs(first, second)}) == {
        (1,): {"pretrained_model": "aaaaaaaa"},
        (2,): {"pretrained_model": "bbbbbbbb"},
    }
    found = grouped(tmp_path / "four", {"inputs": inputs(first, plugin="1")}, {"inputs": inputs(first, plugin="2")})
    assert [list(config) for config in found.values()] == [["source"], ["source"]]


def test_what_a_record_does_not_know_differs_from_nothing(tmp_path):
    first, second = "a" * 64, "b" * 64
    assert grouped(tmp_path / "one", {}, {"inputs": inputs(first)}, {"inputs": inputs(None)}) == {(1, 2, 3): {}}
    assert grouped(tmp_path / "two", {}, {"inputs": inputs(first)}, {"inputs": inputs(second)}, {}) == {
        (1, 4): {"data": "unknown"},
        (2,): {"data": "aaaaaaaa"},
        (3,): {"data": "bbbbbbbb"},
    }
    # Where no record knows, the origin tells copies of the data apart.
    assert grouped(tmp_path / "three", {"origin": "file:///a"}, {"origin": "file:///b"}, {"origin": "file:///a"}) == {
        (1, 3): {"data": "unknown, from file:///a"},
        (2,): {"data": "unknown, from file:///b"},
    }


def test_compare_says_why_groups_are_apart_and_which_versions_made_them(tmp_path):
    write_run(tmp_path / "a", seed=1, inputs=inputs("a" * 64))
    newer = {"resumed": [1], "resumed_versions": [{"fedcli": "0.2.0"}]}
    write_run(tmp_path / "b", seed=2, inputs=inputs("b" * 64), **newer)
    comparison = compare(load_runs([tmp_path]), Question())
    assert [result.label for result in comparison.groups] == ["data=aaaaaaaa", "data=bbbbbbbb"]
    notes = "\n".join(comparison.notes)
    assert "A (data=aaaaaaaa), B (data=bbbbbbbb): one config, but their data are not the same" in notes
    assert "different versions of fedcli, whose numbers may differ: 0.1.0: A, B; 0.2.0: B" in notes
