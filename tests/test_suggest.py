from fedcli.suggest import did_you_mean


def test_the_closest_choice_and_all_of_them():
    hint = did_you_mean("emnits", ["shakespeare", "emnist", "digits"])
    assert hint == "did you mean emnist? choose one of: digits, emnist, shakespeare"


def test_no_guess_where_nothing_is_close():
    assert did_you_mean("xyz", ["emnist", "digits"]) == "choose one of: digits, emnist"


def test_case_is_no_difference_that_counts():
    assert did_you_mean("Adam", ["adam", "sgd"]).startswith("did you mean adam?")


def test_what_the_list_is_called():
    assert did_you_mean("x", ["every"], "keys of eval") == "keys of eval: every"


def test_many_choices_are_not_listed():
    keys = [f"group.key_{number}" for number in range(50)]
    hint = did_you_mean("group.key_1x", keys)
    assert hint.startswith("did you mean group.key_1")
    assert hint.endswith("? --cfg job shows all keys")
    assert "group.key_40" not in hint
