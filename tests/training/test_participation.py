"""Who reports, what it takes and what is sent in vain, by properties that hold for all devices."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedcli.training.devices import Device
from fedcli.training.participation import Fate, Visit, participation

SPEEDS = st.floats(1e-3, 1e3)
VISITS = st.lists(st.tuples(SPEEDS, SPEEDS, SPEEDS, st.integers(0, 100), st.booleans()), min_size=1, max_size=12).map(
    lambda drawn: [
        Visit(f"c{i}", Device(seconds, down, up), examples, lost)
        for i, (seconds, down, up, examples, lost) in enumerate(drawn)
    ]
)
BITS = st.integers(0, 1000)


@given(VISITS, BITS, BITS, st.integers(1, 12), st.none() | st.floats(0.1, 1e4))
def test_the_fastest_report_up_to_the_goal_and_in_time(visits, down, up, goal, deadline):
    got = participation(visits, [down] * len(visits), up, goal=goal, deadline=deadline)
    by_fate = {fate: [v for v, f in zip(visits, got.fates, strict=True) if f is fate] for fate in Fate}
    assert got.reported == [visit.client for visit in by_fate[Fate.REPORTED]]
    assert by_fate[Fate.DROPPED] == [visit for visit in visits if visit.is_lost]
    assert len(got.reported) <= goal
    assert got.is_goal_met == (len(got.reported) == goal)
    times = [visit.reports_after(down, up) for visit in by_fate[Fate.REPORTED]]
    assert all(deadline is None or time <= deadline for time in times)
    for visit in by_fate[Fate.CUT]:
        late = deadline is not None and visit.reports_after(down, up) > deadline
        assert late or (got.is_goal_met and visit.reports_after(down, up) >= max(times))


@given(VISITS, BITS, BITS, BITS, st.integers(1, 12), st.none() | st.floats(0.1, 1e4))
def test_the_outcome_is_that_of_the_real_lengths(visits, down, expected, up, goal, deadline):
    downs = [down + i for i in range(len(visits))]
    got = participation(visits, downs, expected, goal=goal, deadline=deadline)
    outcome = got.outcome(downs, up)
    times = [visit.reports_after(bits, up) for visit, bits in zip(visits, downs, strict=True)]
    assert outcome.reports_after == times
    fates = list(zip(visits, got.fates, downs, strict=True))
    if got.is_goal_met:
        end = max(time for time, (_, fate, _) in zip(times, fates, strict=True) if fate is Fate.REPORTED)
        assert outcome.seconds == (end if deadline is None else min(end, deadline))
    else:
        assert outcome.seconds == (max(times) if deadline is None else deadline)
    # What a client that is cut has sent is what its link carries from the end of its training to that of the round.
    sent = 0
    for visit, fate, bits in fates:
        if fate is Fate.CUT:
            carried = (outcome.seconds - visit.trained_after(bits)) * visit.device.upload_rate
            sent += int(min(max(carried, 0), up))
    assert outcome.cut_bits == sent <= up * got.fates.count(Fate.CUT)


def visit(name, seconds, *, is_lost=False):
    """A client that needs so long for its 10 examples, one second for 8 bits down and two for 8 bits up."""
    return Visit(name, Device(seconds / 10, 8.0, 4.0), 10, is_lost)


def test_an_example():
    visits = [visit("slow", 20), visit("lost", 1, is_lost=True), visit("late", 4), visit("a", 3), visit("b", 2)]
    got = participation(visits, [8] * 5, 8, goal=2, deadline=None)
    assert got.reported == ["a", "b"]
    assert [str(fate) for fate in got.fates] == ["cut", "dropped", "cut", "reported", "reported"]
    outcome = got.outcome([8] * 5, 8)
    assert outcome.seconds == pytest.approx(1 + 3 + 2)
    # `late` had trained after 5 s and sent for one; `slow` was still training.
    assert outcome.cut_bits == 4


def test_without_the_goal_the_server_waits_for_all_or_until_the_deadline():
    visits = [visit("a", 1), visit("lost", 5, is_lost=True)]
    assert participation(visits, [8, 8], 8, goal=2, deadline=None).outcome([8, 8], 8).seconds == pytest.approx(8)
    assert participation(visits, [8, 8], 8, goal=2, deadline=50).outcome([8, 8], 8).seconds == 50
    nobody = participation(visits, [8, 8], 8, goal=1, deadline=0.5)
    assert nobody.reported == []
    assert nobody.outcome([8, 8], 8).cut_bits == 0


def test_longer_messages_than_expected_end_a_round_at_its_deadline():
    got = participation([visit("a", 1)], [8], 0, goal=1, deadline=3.0)
    assert got.reported == ["a"]
    assert got.outcome([8], 80).seconds == 3.0


def test_of_equally_fast_clients_the_first_sampled_report():
    got = participation([visit(name, 1) for name in "cab"], [8] * 3, 8, goal=2, deadline=None)
    assert got.reported == ["c", "a"]
