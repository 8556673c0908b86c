"""Ways to damage a file."""

import os
import random
from pathlib import Path


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Returns a file's content with one to three damages."""
    for _ in range(rng.randint(1, 3)):
        content = rng.choice(_WAYS)(content, rng)
    return content


def damage_file(path: Path, rng: random.Random) -> str:
    """Damages a file, or puts something else in its place; returns what was done."""
    way = rng.choice(["content"] * 6 + ["missing", "empty", "folder", "link", "loop"])
    if way == "content":
        path.write_bytes(damaged(path.read_bytes(), rng))
        return way
    path.unlink()
    if way == "empty":
        path.touch()
    elif way == "folder":
        path.mkdir()
    elif way == "link":
        path.symlink_to("/dev/null")
    elif way == "loop":
        os.symlink(path, path)
    return way


def _cut(content, rng):
    return content[: rng.randrange(len(content) + 1)]


def _flipped(content, rng):
    if not content:
        return b"\xff"
    changed = bytearray(content)
    for _ in range(rng.choice([1, 1, 8, 64])):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _without(content, rng):
    start = rng.randrange(len(content) + 1)
    return content[:start] + content[start + rng.choice([1, 10, 100, 1000]) :]


def _twice(content, rng):
    start = rng.randrange(len(content) + 1)
    return content[:start] + content[start : start + 200] * 2 + content[start:]


def _inserted(content, rng):
    start = rng.randrange(len(content) + 1)
    extra = [b"\x00", b"\xff\xfe", b"\n\n", b'"', b",", b"{", b"nan", b"-1", b"9" * 400, b"\xef\xbb\xbf", b"A" * 70_000]
    return content[:start] + rng.choice(extra) + content[start:]


def _digit(content, rng):
    """Changes a digit, which keeps most text files well formed."""
    digits = [place for place, byte in enumerate(content[:20_000]) if 48 <= byte <= 57]
    if not digits:
        return _flipped(content, rng)
    place = rng.choice(digits)
    return content[:place] + rng.choice([b"-", b"", b"e", b"99999999999999999999", b"7"]) + content[place + 1 :]


def _line_gone(content, rng):
    lines = content.splitlines(keepends=True)
    if len(lines) > 1:
        del lines[rng.randrange(len(lines))]
    return b"".join(lines)


_WAYS = [_cut, _flipped, _without, _twice, _inserted, _digit, _line_gone]
