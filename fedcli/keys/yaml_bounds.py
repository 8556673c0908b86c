"""Refuses YAML files that are small and become huge: aliases of aliases, each of which stands for many nodes.

YAML's parsers share what an alias stands for; OmegaConf, and whoever walks the document, copy it each time.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from fedcli.errors import ConfigError
from fedcli.regular_file import read_regular

#: A config of fedcli has a few hundred nodes and a few kilobytes.
MOST_BYTES, MOST_NODES = 2**20, 100_000


def check_yaml_file(path: Path) -> None:
    """Refuses a file that no config can be.

    Raises:
        ConfigError: It is no regular file, too large, or its aliases stand for too much.
    """
    try:
        read_yaml(path)
    except OSError as error:
        problem = error.strerror or str(error)
    except ValueError as error:
        problem = str(error)
    else:
        return
    raise ConfigError(f"{path} cannot be read: {problem}", "correct or remove that file")


def read_yaml(path: Path) -> bytes:
    """Reads a YAML file that a config can be.

    Raises:
        OSError: It is no regular file, or too large.
        ValueError: Its aliases stand for too much.
    """
    data = read_regular(path, MOST_BYTES)
    if problem := yaml_problem(data):
        raise ValueError(problem)
    return data


def check_yaml_folders(folders: Iterable[Path]) -> None:
    """Refuses folders of `--config-dir` that hold such a file, of whatever group; see `check_yaml_file`."""
    for folder in folders:
        for depth in ("*.yaml", "*/*.yaml", "*/*/*.yaml"):
            for file in sorted(folder.glob(depth)):
                if not file.is_dir():
                    check_yaml_file(file)


def yaml_problem(data: bytes) -> str:
    """Returns why the aliases of a YAML document are refused; "" if they are not.

    A document that is no YAML has no aliases: whoever parses it says what is wrong.
    """
    if b"&" not in data or b"*" not in data:
        return ""
    import yaml  # type: ignore[import-untyped]

    anchors: dict[str, int] = {}
    # Each collection that is open: its anchor, and the nodes so far.
    counts: list[tuple[str | None, int]] = [(None, 0)]
    try:
        for event in yaml.parse(data, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            if isinstance(event, yaml.CollectionStartEvent):
                counts.append((event.anchor, 1))
                continue
            if isinstance(event, yaml.AliasEvent):
                if event.anchor not in anchors:
                    return f"the alias *{event.anchor} stands for what holds it, or for nothing"
                anchor, count = None, anchors[event.anchor]
            elif isinstance(event, yaml.ScalarEvent):
                anchor, count = event.anchor, 1
            elif isinstance(event, yaml.CollectionEndEvent):
                anchor, count = counts.pop()
            else:
                continue
            if anchor is not None:
                anchors[anchor] = count
            outer, before = counts[-1]
            counts[-1] = (outer, before + count)
            if before + count > MOST_NODES:
                return f"its aliases stand for more than {MOST_NODES:,} values"
    except yaml.YAMLError:
        return ""
    return ""
