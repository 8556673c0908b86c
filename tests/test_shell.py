"""Paths and commands for people: a real shell reads back what was meant."""

import os
import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fedcli.shell import command_line, shell_word, shown_path


def read_back(line):
    """Returns the words that bash makes of a line, each a byte string."""
    done = subprocess.run(["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True)
    return done.stdout.split(b"\0")[:-1]


# What a file name can hold: bytes that are not UTF-8 are lone surrogates in Python.
words = st.binary(min_size=1, max_size=12).filter(lambda data: b"\0" not in data).map(os.fsdecode)


@settings(max_examples=60, deadline=None)
@given(st.lists(words, min_size=1, max_size=4))
@example(["my runs/2026", "it's", "$HOME", "a\nb", "a\x1b[31m7", "\\", "*", "\udcff8", "é", "-x", ""])
def test_bash_reads_the_words_back(line):
    assert read_back(command_line(*line)) == [os.fsencode(word) for word in line]


@settings(max_examples=200, deadline=None)
@given(words)
def test_a_word_fits_in_one_printable_line(word):
    assert shell_word(word).isprintable()


def test_plain_words_stay_as_they_are():
    assert command_line("fedcli", "train", "--resume", "outputs/2026-11-21/07-34-35-train-f2eba8") == (
        "fedcli train --resume outputs/2026-11-21/07-34-35-train-f2eba8"
    )


@pytest.mark.parametrize(
    ("path", "shown"),
    [("runs/a b", "'runs/a b'"), ("-x", "./-x"), ("/elsewhere/a", "/elsewhere/a"), ("a/../b", "b")],
)
def test_a_path_is_short_and_no_option(tmp_path, monkeypatch, path, shown):
    monkeypatch.chdir(tmp_path)
    assert shown_path(path) == shown


def test_a_path_inside_of_the_folder_is_relative(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shown_path(tmp_path / "run") == "run"
