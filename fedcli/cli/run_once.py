"""A launcher that runs each set of values once, where a search asks for some of them again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher

#: From the error that a launcher broke with and the jobs that it was to run, to the jobs' values.
AfterBreak = Callable[[Exception, range], Sequence[float | None]]


class SearchStopped(Exception):
    """No more trials are run: the user asked, or a job failed and was to be the last."""


class RunOnce(Launcher):
    """Stands between a sweeper and its launcher.

    Samplers repeat sets of values, above all those over few choices. The job of a set is run once; later its value is
    given again. Jobs are numbered without gaps.

    Args:
        launcher: Runs the jobs.
        is_stopped: Whether no more jobs are to begin.
        after_break: Called where the launcher raises: returns the values of the jobs that it was to run, or raises.

    Attributes:
        trials: How many sets of values were asked for and have their value, repeated ones included.
    """

    def __init__(self, launcher: Launcher, is_stopped: Callable[[], bool], after_break: AfterBreak) -> None:
        self._launcher = launcher
        self._is_stopped = is_stopped
        self._after_break = after_break
        self._returns: dict[tuple[str, ...], JobReturn] = {}
        self.trials = 0

    def setup(self, **keys: Any) -> None:
        """Does nothing: the launcher is set up already."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Runs the sets of values that are new.

        Args:
            job_overrides: A set of values for each trial.
            initial_job_idx: The sweeper's number of the first trial. Jobs have numbers of their own.

        Raises:
            SearchStopped: No more jobs are to begin, or a job of these did not end.
        """
        keys = [tuple(overrides) for overrides in job_overrides]
        new = [key for key in dict.fromkeys(keys) if key not in self._returns]
        if self._is_stopped():
            raise SearchStopped
        if new:
            self._returns.update(zip(new, self._launch(new), strict=True))
        if self._is_stopped():
            raise SearchStopped
        self.trials += len(keys)
        return [self._returns[key] for key in keys]

    def _launch(self, new: Sequence[tuple[str, ...]]) -> Sequence[JobReturn]:
        first = len(self._returns)
        try:
            return self._launcher.launch([list(key) for key in new], initial_job_idx=first)
        except Exception as error:
            values = self._after_break(error, range(first, first + len(new)))
            return [JobReturn(_return_value=value, status=JobStatus.COMPLETED) for value in values]
