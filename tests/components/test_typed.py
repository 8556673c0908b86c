import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedcli.cli.hydra_bridge import HydraRequest, compose
from fedcli.components.typed import typed
from fedcli.config.schema import TrainConfig
from fedcli.errors import ConfigError
from fedcli.keys.flat import flat

#: The default config, plain.
PLAIN = dataclasses.asdict(compose(HydraRequest("train", [], "abcdef"), TrainConfig))


def changed(path, value):
    config = {key: dict(item) if isinstance(item, dict) else item for key, item in PLAIN.items()}
    place = config
    *groups, key = path.split(".")
    for group in groups:
        place = place[group]
    place[key] = value
    return config


def refusal(path, value, **options):
    with pytest.raises(ConfigError) as caught:
        typed(changed(path, value), TrainConfig, **options)
    assert caught.value.hint
    return caught.value


def test_a_config_survives_being_plain():
    assert dataclasses.asdict(typed(PLAIN, TrainConfig)) == PLAIN


def test_numbers_may_be_written_as_text_or_whole():
    config = typed(changed("client_optimizer.learning_rate", 1), TrainConfig)
    assert config.client_optimizer.learning_rate == 1.0
    assert typed(changed("rounds", "7"), TrainConfig).rounds == 7


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("rounds", "many", "rounds=many: must be a whole number"),
        ("rounds", 1.5, "rounds=1.5: must be a whole number"),
        ("rounds", None, "rounds=null: must be a whole number"),
        ("rounds", True, "rounds=true: must be a whole number"),
        ("rounds", [1], "rounds=[1]: must be a whole number"),
        ("output_dir", None, "output_dir=null: must be text"),
        ("algorithm.weighted", "perhaps", "algorithm.weighted=perhaps: must be true or false or null"),
        ("client_optimizer.learning_rate", "abc", "client_optimizer.learning_rate=abc: must be a number"),
        ("dataset.max_batches_per_client", "x", "dataset.max_batches_per_client=x: must be a whole number or null"),
        ("dataset.clients", 1, "dataset.clients=1: must be a list of texts or null"),
        ("eval.every", "x", "eval.every=x: must be a whole number"),
        ("dataset.clients", [["a"]], "dataset.clients=[['a']]: must be a list of texts or null"),
        ("dataset.clients", [{"a": 1}], "dataset.clients=[{'a': 1}]: must be a list of texts or null"),
    ],
)
def test_wrong_types_are_refused(path, value, expected):
    error = refusal(path, value)
    assert error.message == expected
    assert f"{path}=VALUE" in error.hint


@pytest.mark.parametrize(
    ("path", "message", "hint"),
    [
        ("roudns", "roudns: no such key", "did you mean rounds?"),
        ("eval.evry", "eval.evry: no such key", "did you mean every?"),
        ("client_optimizer.learning_rat", "client_optimizer.learning_rat: no such key", "did you mean learning_rate?"),
        ("nonsense", "nonsense: no such key", ""),
    ],
)
def test_unknown_keys_are_refused(path, message, hint):
    error = refusal(path, 1)
    assert error.message == message
    assert error.hint.startswith(hint)


def test_unknown_name_is_refused_with_the_choices():
    error = refusal("aggregator.name", "maen")
    assert error.message == "aggregator.name=maen: no such aggregator"
    assert "did you mean mean? choose one of: adaptive, compression" in error.hint


@pytest.mark.parametrize("value", [None, 5, "sgd", [], {}])
def test_a_group_without_a_name_is_refused(value):
    assert "the group holds no name" in refusal("client_optimizer", value).message


@pytest.mark.parametrize("value", [None, 5, "often", []])
def test_a_section_that_is_no_section_is_refused(value):
    assert "not a group of keys" in refusal("eval", value).message


def test_a_key_of_another_choice_is_refused_and_named():
    error = refusal("client_optimizer.weight_decay", 0.1)
    assert error.message == "client_optimizer.weight_decay: not a key of client_optimizer=sgd"
    assert "client_optimizer=adamw" in error.hint


def test_a_sweep_leaves_out_the_keys_of_other_choices():
    config = typed(changed("client_optimizer.weight_decay", 0.1), TrainConfig, foreign_keys=True)
    assert config == typed(PLAIN, TrainConfig)


def test_a_sweep_too_refuses_a_key_that_no_choice_has():
    assert "no such key" in refusal("client_optimizer.nonsense", 0.1, foreign_keys=True).message


def test_values_that_make_no_sense_are_refused():
    for value in (0.0, -1.0, float("nan"), float("inf")):
        message = refusal("client_optimizer.learning_rate", value).message
        assert message == f"client_optimizer.learning_rate={value}: must be from 1e-12 to 1000000"


def test_a_missing_group_is_refused():
    config = {key: value for key, value in PLAIN.items() if key != "model"}
    with pytest.raises(ConfigError, match=r"^model: not given$"):
        typed(config, TrainConfig)


def refused(config):
    """Returns why a config is refused, None if it is taken; any other exception fails the test."""
    try:
        typed(config, TrainConfig)
    except ConfigError as error:
        return error
    return None


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.binary(max_size=5), st.dates()
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)


@settings(max_examples=120, deadline=None)
@given(path=st.sampled_from(sorted({*flat(PLAIN), *PLAIN})), value=VALUES)
def test_any_value_is_taken_or_refused_with_a_reason(path, value):
    error = refused(changed(path, value))
    assert error is None or (path.split(".")[0] in error.message and error.hint)


@settings(max_examples=50, deadline=None)
@given(path=st.text(max_size=20) | st.text(max_size=20).map("model.{}".format), value=VALUES)
def test_any_key_is_taken_or_refused_with_a_reason(path, value):
    group, _, key = path.rpartition(".")
    place = {**PLAIN, "model": {**PLAIN["model"], key: value}} if group == "model" else {**PLAIN, path: value}
    error = refused(place)
    assert error is None or (error.message and error.hint)
