"""Generated from the registries: every numeric key has a finite range, and nothing outside of it is taken."""

import dataclasses
import math
from typing import get_args, get_type_hints

import pytest

from fedcli.components.groups import groups
from fedcli.components.typed import typed
from fedcli.config.checks import check
from fedcli.config.pretrain import PretrainConfig
from fedcli.config.schema import FinetuneConfig, TrainConfig
from fedcli.errors import ConfigError
from fedcli.keys.flat import flat
from fedcli.keys.shown import shown
from fedcli.ranges import SMALLEST_FLOAT, Range, ranges_of
from tests.components.test_typed import PLAIN


def types_in(hint):
    """Returns the plain types in a type: int and NoneType for `int | None`."""
    return {inner for arg in get_args(hint) for inner in types_in(arg)} or {hint}


def numeric_fields(cls):
    """Returns the fields of a dataclass that hold numbers, each with its plain type, those of sections included."""
    hints = get_type_hints(cls)
    found = {}
    for field in dataclasses.fields(cls):
        for kind in types_in(hints[field.name]) & {int, float}:
            found[field.name] = kind
    return found


def sections(cls):
    return [hint for hint in get_type_hints(cls).values() if dataclasses.is_dataclass(hint)]


COMPONENTS = sorted(
    (group, name, component) for group, registry in groups().items() for name, component in registry.components.items()
)
CONFIGS = {section for cls in (TrainConfig, FinetuneConfig, PretrainConfig) for section in (cls, *sections(cls))}
#: (place in the config, dataclass, key, plain type) of every numeric key.
KEYS = [
    (f"{group}={name}", component, key, kind)
    for group, name, component in COMPONENTS
    for key, kind in numeric_fields(component).items()
]
KEYS += [
    (cls.__name__, cls, key, kind)
    for cls in sorted(CONFIGS, key=lambda cls: cls.__name__)
    for key, kind in numeric_fields(cls).items()
]
IDS = [f"{place}.{key}" for place, _, key, _ in KEYS]


@pytest.mark.parametrize(("place", "cls", "key", "kind"), KEYS, ids=IDS)
def test_every_numeric_key_has_a_finite_range(place, cls, key, kind):
    range = ranges_of(cls).get(key)
    assert range is not None, f"{place}.{key} states no range: Annotated[{kind.__name__}, Range(LEAST, MOST)]"
    assert math.isfinite(range.least)
    assert math.isfinite(range.most)
    assert range.least < range.most
    default = next(field.default for field in dataclasses.fields(cls) if field.name == key)
    assert default in (None, dataclasses.MISSING) or range.problem(default) is None


def outside(range, kind):
    """Returns numbers that a key of this range and type refuses."""
    if kind is int:
        return [int(range.least) - 1, int(range.most) + 1, 2**31 + int(range.most), 2**64 + 1, 10**30, -(10**400)]
    return [
        math.nextafter(range.least, -math.inf),
        math.nextafter(range.most, math.inf),
        math.nan,
        math.inf,
        -math.inf,
        5e-324,
        -1e-320,
        1e308,
        -1e308,
        10**400,
    ]


TRAINED = [item for item in KEYS if "=" in item[0]]


@pytest.mark.parametrize(("place", "cls", "key", "kind"), TRAINED, ids=[f"{item[0]}.{item[2]}" for item in TRAINED])
def test_components_refuse_numbers_outside_of_their_ranges(place, cls, key, kind):
    group, name = place.split("=")
    is_list = isinstance(getattr(cls(), key), list)
    for number in outside(ranges_of(cls)[key], kind):
        value = [number] if is_list else number
        with pytest.raises(ConfigError) as caught:
            typed({**PLAIN, group: {"name": name, key: value}}, TrainConfig)
        start = f"{group}.{key}={shown(value)}: {'each number ' if is_list else ''}must be "
        assert caught.value.message.startswith(start)
        assert f"{group}.{key}=VALUE" in caught.value.hint
        assert len(caught.value.message) < 400


COMMON = [key for key in flat(PLAIN) if key.split(".")[0] not in groups() and type(flat(PLAIN)[key]) in (int, float)]


@pytest.mark.parametrize("key", [*COMMON, "eval.max_examples", "client_eval.every", "sampling.goal", "privacy.delta"])
def test_sections_refuse_numbers_outside_of_their_ranges(key):
    section, _, name = key.rpartition(".")
    cls = get_type_hints(TrainConfig)[section] if section else TrainConfig
    for number in outside(ranges_of(cls)[name], numeric_fields(cls)[name]):
        config = {**PLAIN, section: {**PLAIN[section], name: number}} if section else {**PLAIN, name: number}
        with pytest.raises(ConfigError) as caught:
            typed(config, TrainConfig)
        assert caught.value.message.startswith(f"{key}={shown(number)}: must be ")


def test_a_config_made_in_python_is_checked_too():
    config = typed(PLAIN, TrainConfig)
    wrong = dataclasses.replace(config, client_optimizer=dataclasses.replace(config.client_optimizer, momentum=1.0))
    with pytest.raises(ConfigError, match=r"^client_optimizer\.momentum=1\.0: must be from 0 to 0\.999999$"):
        check(wrong)
    with pytest.raises(ConfigError, match=r"^eval\.every=0: must be from 1"):
        check(dataclasses.replace(config, eval=dataclasses.replace(config.eval, every=0)))


def test_both_ends_belong_to_a_range():
    range = Range(0.0, 2.5)
    assert [range.problem(value) for value in (0.0, -0.0, 1, 2.5, SMALLEST_FLOAT)] == [None] * 5
    assert range.problem(2.6) == "must be from 0 to 2.5"
    assert "32-bit floats" in range.problem(SMALLEST_FLOAT / 2)
    assert Range(1, 10**9).problem(0) == "must be from 1 to 1000000000"


def test_a_very_large_number_is_shown_in_part():
    assert shown(16**5000).startswith("0x1000")
    assert len(shown(16**5000)) < 200
    assert (shown(None), shown(True), shown(1.5)) == ("null", "true", "1.5")
