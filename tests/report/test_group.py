from fedcli.report.group import differing_keys, separating_keys, telling_keys

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
