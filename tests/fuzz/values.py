"""Odd values of config keys."""

import dataclasses
import random

from fedcli.components.groups import groups
from fedcli.config.schema import TrainConfig

ODD = [
    None,
    True,
    "",
    " ",
    "x",
    0,
    -1,
    1,
    2,
    2**31,
    2**63,
    2**64 + 1,
    10**30,
    -(10**30),
    10**400,
    0.5,
    -0.5,
    0.999999999999,
    1e-320,
    5e-324,
    1e-40,
    1e308,
    -1e308,
    float("nan"),
    float("inf"),
    float("-inf"),
    [],
    [0],
    [10**9],
    [[1]],
    [None],
    {},
    {"a": 1},
    "é\x00\x1b[31m",
    "1e5",
    "../..",
    "a" * 5000,
]

#: What only the command line can say.
ODD_TEXTS = [
    "",
    "null",
    "''",
    "[]",
    "[[1]]",
    "{a:1}",
    "[1,2",
    "1,2",
    "range(1,3)",
    "${oc.env:HOME}",
    "${seed}",
    "${rounds}",
    "${nothing}",
    "nan",
    "inf",
    "-inf",
    "1e-320",
    "1e308",
    "0x10",
    "9" * 30,
    "9" * 5000,
    "-1",
    "0",
    "1",
    "0.5",
    "1_000",
    "true",
    "\\",
    '"',
    "a b",
    "=",
    "é",
    "\t",
    "[" * 300,
    "a" * 3000,
]


def component_keys():
    """Lists (group, choice, key) of every key of every component."""
    return [
        (group, name, field.name)
        for group, registry in groups().items()
        for name, component in registry.components.items()
        for field in dataclasses.fields(component)
        if field.name != "name"
    ]


def section_keys():
    """Lists (section, key) of the keys that are in no component; the section is empty at the top."""
    config = []
    for field in dataclasses.fields(TrainConfig):
        if field.name in groups():
            continue
        value = field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default
        if dataclasses.is_dataclass(value):
            config += [(field.name, inner.name) for inner in dataclasses.fields(value)]
        else:
            config.append(("", field.name))
    return config


def overrides(rng: random.Random):
    """Makes arguments of `fedcli train`: a few keys of a few components with odd values."""
    arguments = []
    for _ in range(rng.randint(1, 3)):
        value = rng.choice(ODD_TEXTS)
        if rng.random() < 0.7:
            group, name, key = rng.choice(component_keys())
            arguments += [f"{group}={name}", f"{group}.{key}={value}"]
        else:
            section, key = rng.choice(section_keys())
            arguments.append(f"{section}.{key}={value}" if section else f"{key}={value}")
    if rng.random() < 0.1:
        arguments[-1] = _mangled(arguments[-1], rng)
    return arguments


def _mangled(text, rng):
    place = rng.randrange(len(text))
    return text[:place] + rng.choice("=.~+@[]{}$,'\\") + text[place + rng.randint(0, 1) :]
