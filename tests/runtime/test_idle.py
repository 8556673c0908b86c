"""Things that wait for whoever needs them next."""

from concurrent.futures import ThreadPoolExecutor
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from fedcli.runtime.idle import Idle, OnePerThread


def test_what_is_given_back_is_taken_again_once():
    made = count()
    idle = Idle(kinds=2)
    first, second = idle.take("a", lambda: next(made)), idle.take("a", lambda: next(made))
    assert {first, second} == {0, 1}
    idle.give_back("a", [first])
    idle.give_back("a", [second])
    assert {idle.take("a", lambda: next(made)), idle.take("a", lambda: next(made))} == {0, 1}
    assert idle.take("a", lambda: next(made)) == 2


def test_kinds_without_hashes_are_told_apart_by_equality():
    idle = Idle(kinds=2)
    idle.give_back({"size": [1]}, ["small"])
    assert idle.take({"size": [2]}, lambda: "new") == "new"
    assert idle.take({"size": [1]}, lambda: "new") == "small"


@given(st.lists(st.integers(0, 5)))
def test_only_the_kinds_that_were_given_back_last_are_kept(kinds):
    idle = Idle(kinds=2)
    for kind in kinds:
        idle.give_back(kind, [f"kept {kind}"])
    recent = list(dict.fromkeys(reversed(kinds)))[:2]
    for kind in range(6):
        assert idle.take(kind, lambda: "new") == (f"kept {kind}" if kind in recent else "new")


def test_threads_never_share_a_thing():
    idle = Idle(kinds=1)
    in_use = set()

    def use(_):
        thing = idle.take("kind", object)
        assert thing not in in_use
        in_use.add(thing)
        in_use.remove(thing)
        idle.give_back("kind", [thing])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(use, range(2000)))


def test_each_thread_has_one_until_all_are_given_back():
    idle = Idle(kinds=1)
    things = OnePerThread(idle, "kind", object)
    with ThreadPoolExecutor(1) as pool:
        here, there = things.get(), pool.submit(things.get).result()
        assert here is not there
        assert things.get() is here
        assert pool.submit(things.get).result() is there
    things.give_back()
    assert {idle.take("kind", object), idle.take("kind", object)} == {here, there}
    assert things.get() not in (here, there)
