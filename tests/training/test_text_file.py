"""The text that `fedcli pretrain` trains on, and the checks of its config."""

import os
from dataclasses import replace

import pytest

from fedcli.config.pretrain import PretrainConfig
from fedcli.datasets.base import PADDING
from fedcli.errors import ConfigError
from fedcli.models.char_rnn import CharRNN
from fedcli.text.vocabulary import decode, encode
from fedcli.training.pretrain_checks import check_pretraining
from fedcli.training.text_file import load_text, read_text, split

TEXT = "It was the best of times, it was the worst of times.\n" * 40


@pytest.fixture
def config(tmp_path):
    (tmp_path / "text.txt").write_text(TEXT)
    model = CharRNN(embedding_dim=4, units=8)
    return PretrainConfig(model, str(tmp_path / "text.txt"), "mine", batch_size=8, sequence_length=20)


def texts(examples):
    """Returns each sequence as text: its inputs and its last target."""
    return [decode([x[0], *y[y != PADDING]]) for x, y in zip(examples.x, examples.y, strict=True)]


@pytest.mark.parametrize(("length", "blocks"), [(21 * 10 * 10, 10), (21 * 10 * 30 + 7, 10), (21 * 10 * 3, 3), (211, 1)])
def test_the_split_gives_every_character_to_one_part_in_stretches(length, blocks):
    text = "".join(chr(ord("a") + i % 26) for i in range(length))
    train, validation = split(encode(text), 20, 0.1)
    there = sorted("".join([*texts(train), *texts(validation)]))
    # At most the last character of a stretch is in no sequence: nothing follows it.
    assert length - 2 * blocks <= len(there) <= length
    held_out = sum(map(len, texts(validation)))
    assert held_out == pytest.approx(0.1 * length, abs=2 * blocks)
    assert len(validation) >= blocks


def test_held_out_stretches_are_spread_over_the_text():
    text = "".join(part * 300 for part in "abcdefghij")
    _, validation = split(encode(text), 20, 0.1)
    assert set("".join(texts(validation))) == set("abcdefghij")


def test_the_text_is_read_as_it_is(tmp_path):
    file = tmp_path / "text.txt"
    file.write_bytes(b"\xef\xbb\xbfone\r\ntwo\n")
    assert read_text(str(file)) == "one\r\ntwo\n"


def test_unknown_characters_are_counted(config):
    with open(config.text, "a", encoding="utf-8") as file:
        file.write("caf\u00e9 \u201cx\u201d \u201cy")
    text = load_text(config)
    assert text.unknown == {"\u201c": 2, "\u00e9": 1, "\u201d": 1}
    assert next(iter(text.unknown)) == "\u201c"
    assert text.characters == len(TEXT) + 11


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"text": None}, "--text"),
        ({"name": None}, "--name"),
        ({"name": "dickens"}, "published"),
        ({"name": "a/b"}, "not a name"),
        ({"epochs": -1}, "epochs=-1"),
        ({"shards": 0}, "shards=0"),
        ({"shards": 9}, "batch_size=8"),
        ({"patience": 0}, "patience=0"),
        ({"learning_rate": 0.0}, "learning_rate=0"),
        ({"learning_rate": float("nan")}, "learning_rate=nan"),
        ({"validation_share": 0.0}, "validation_share=0"),
        ({"validation_share": 1.0}, "validation_share=1"),
        ({"sequence_length": 1000}, "too few"),
        ({"output_dir": " "}, "output_dir"),
    ],
)
def test_refuses_what_cannot_run(config, change, said):
    check_pretraining(config)
    with pytest.raises(ConfigError) as caught:
        check_pretraining(replace(config, **change))
    assert said in f"{caught.value.message} {caught.value.hint}"


def test_the_length_that_the_error_asks_for_is_enough(config, tmp_path):
    (tmp_path / "text.txt").write_text("short")
    with pytest.raises(ConfigError) as caught:
        check_pretraining(config)
    enough = int(caught.value.hint.split()[3].replace(",", ""))
    (tmp_path / "text.txt").write_text(TEXT[:enough])
    check_pretraining(config)


def test_a_pipe_and_a_device_are_no_texts(tmp_path):
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "link.txt").symlink_to("/dev/zero")
    for path in (tmp_path / "pipe.txt", "/dev/zero", tmp_path / "link.txt"):
        with pytest.raises(ConfigError, match=f"{path}: not a regular file"):
            read_text(str(path))


def test_a_text_that_would_fill_the_memory_is_refused(tmp_path):
    with (tmp_path / "sparse.txt").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(ConfigError, match=r"sparse\.txt: more than 1,073,741,824 bytes") as caught:
        read_text(str(tmp_path / "sparse.txt"))
    assert caught.value.hint
