"""Feeds the command line odd, damaged and hostile inputs, and reports each that is not answered properly.

    python -m tests.fuzz                          a few minutes
    python -m tests.fuzz --minutes 300 --seed 7   a night
    python -m tests.fuzz --seed 7 --repeat csv:31 one input again

An input is answered properly if the command ends within its time with exit code 0, 1 or 2, an error is two lines, and
nothing stays behind: no file beside the run's own, no process.
"""
