"""Each set of values that a search asks for is run once."""

import pytest
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher

from fedcli.cli.run_once import RunOnce, SearchStopped


class Recording(Launcher):
    """Numbers the jobs that it is to run, and returns the numbers."""

    def __init__(self, breaks_at=None):
        self.launched = []
        self.breaks_at = breaks_at

    def setup(self, **keys):
        raise AssertionError

    def launch(self, job_overrides, initial_job_idx):
        numbers = range(initial_job_idx, initial_job_idx + len(job_overrides))
        self.launched += zip(numbers, map(tuple, job_overrides), strict=True)
        if self.breaks_at in numbers:
            raise RuntimeError("a worker was killed")
        return [JobReturn(_return_value=number, status=JobStatus.COMPLETED) for number in numbers]


def once(launcher, stopped=(), after_break=None):
    return RunOnce(launcher, lambda: bool(stopped), after_break)


def values(returns):
    return [one.return_value for one in returns]


def test_a_set_that_comes_again_has_the_value_of_its_job():
    launcher = Recording()
    search = once(launcher)
    assert values(search.launch([("a=1",), ("a=2",), ("a=1",)], 0)) == [0, 1, 0]
    # Optuna counts trials; jobs are numbered without gaps.
    assert values(search.launch([("a=2",), ("a=3",)], 3)) == [1, 2]
    assert values(search.launch([("a=3",)], 5)) == [2]
    assert launcher.launched == [(0, ("a=1",)), (1, ("a=2",)), (2, ("a=3",))]
    assert search.trials == 6


def test_a_launcher_that_breaks_takes_its_own_trials_only():
    launcher = Recording(breaks_at=1)
    search = once(launcher, after_break=lambda error, numbers: [None for _ in numbers])
    search.launch([("a=0",)], 0)
    assert values(search.launch([("a=1",), ("a=2",)], 1)) == [None, None]
    assert values(search.launch([("a=3",), ("a=1",)], 3)) == [3, None]


def test_a_launcher_that_cannot_begin_ends_the_search():
    def raise_again(error, numbers):
        raise error

    with pytest.raises(RuntimeError, match="killed"):
        once(Recording(breaks_at=0), after_break=raise_again).launch([("a=1",)], 0)


def test_no_trial_begins_after_the_search_is_stopped():
    stopped = []
    launcher = Recording()
    search = once(launcher, stopped)
    search.launch([("a=1",)], 0)
    stopped.append("interrupted")
    with pytest.raises(SearchStopped):
        search.launch([("a=2",)], 1)
    assert len(launcher.launched) == 1
    assert search.trials == 1
