"""Signals that ask a run to stop."""

import os
import signal

import pytest

from fedcli.training.interrupts import stop_after_round, stop_signals


@pytest.fixture(autouse=True)
def handlers_are_put_back():
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    after = [signal.getsignal(number) for number in numbers]
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)
    assert after == before


def send(number):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_asks(number):
    told = []
    with stop_after_round(lambda: told.append("stopping")) as stop:
        assert not stop
        send(number)
        assert stop
        assert stop.signal_name == number.name
    assert told == ["stopping"]


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_stops_at_once(first, second):
    told = []
    with stop_signals(told.append, lambda: told.append("now")):
        send(first)
        with pytest.raises(KeyboardInterrupt):
            send(second)
    assert told == [first.name, "now"]


@pytest.mark.parametrize(
    "numbers",
    [
        # From the shell, and from the kernel when the shell ends.
        [signal.SIGHUP, signal.SIGHUP, signal.SIGHUP],
        # A session that ends sends both, in any order.
        [signal.SIGTERM, signal.SIGHUP],
        [signal.SIGHUP, signal.SIGTERM, signal.SIGHUP],
    ],
    ids=str,
)
def test_a_closing_terminal_asks_once(numbers):
    told = []
    with stop_signals(told.append):
        for number in numbers:
            send(number)
    assert told == [numbers[0].name]


def test_a_person_can_still_hurry_after_a_hangup():
    with stop_after_round(lambda: None) as stop:
        send(signal.SIGHUP)
        send(signal.SIGINT)
        assert stop.signal_name == "SIGHUP"
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)


def test_nohup_is_respected():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_after_round(lambda: None) as stop:
            send(signal.SIGHUP)
            assert not stop
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
