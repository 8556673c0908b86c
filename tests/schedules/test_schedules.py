"""Each schedule at the rounds where its formula is known."""

import math
from itertools import pairwise

import pytest

from fedcli.components.groups import groups
from fedcli.schedules import schedules
from fedcli.schedules.constant import Constant
from fedcli.schedules.cosine import Cosine
from fedcli.schedules.exponential import Exponential
from fedcli.schedules.inverse_sqrt import InverseSqrt


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (Constant(), {1: 1, 10: 1}),
        (Exponential(rate=0.1, every=5), {1: 1, 5: 1, 6: 0.1, 10: 0.1, 11: 0.01}),
        (Exponential(rate=0.25, every=4, staircase=False), {1: 1, 3: 0.5, 5: 0.25}),
        (InverseSqrt(), {1: 1, 2: math.sqrt(0.5), 4: 0.5, 100: 0.1}),
        (InverseSqrt(scale=3), {1: 1, 10: 0.5}),
        (Cosine(), {1: 1, 6: 0.5, 11: 0}),
        (Cosine(last=0.2, rounds=4), {1: 1, 3: 0.6, 5: 0.2, 9: 0.2}),
        (Cosine(warmup_rounds=4), {1: 0.2, 4: 0.8, 5: 1, 8: 0.5}),
    ],
)
def test_factors(schedule, expected):
    assert {round: schedule.factor(round, 10) for round in expected} == pytest.approx(expected)


@pytest.mark.parametrize("name", schedules.components)
def test_every_schedule_starts_at_the_full_rate_and_never_exceeds_it(name):
    factors = [schedules[name](name=name).factor(round, 20) for round in range(1, 41)]
    assert factors[0] == 1
    assert all(0 <= after <= before for before, after in pairwise(factors))
    warm = [schedules[name](name=name, warmup_rounds=3).factor(round, 20) for round in range(1, 41)]
    assert warm[:4] == [0.25, 0.5, 0.75, 1]


def test_clients_and_server_have_the_same():
    assert groups()["client_schedule"] is groups()["server_schedule"] is schedules


@pytest.mark.parametrize(
    ("schedule", "fields"),
    [
        (Constant(warmup_rounds=-1), ["warmup_rounds"]),
        (Exponential(rate=0, every=0), ["rate", "every"]),
        (InverseSqrt(scale=0), ["scale"]),
        (Cosine(last=2, rounds=0), ["last", "rounds"]),
    ],
)
def test_values_that_make_no_sense(schedule, fields):
    assert [field for field, _ in schedule.problems()] == fields
