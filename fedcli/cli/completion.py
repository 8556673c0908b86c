"""Completes config arguments: `dat` to `dataset=`, `dataset=em` to `dataset=emnist`, `-m aggregator=mean,comp` too.

Looks into the YAML files only, as text: importing Hydra, or the components, would take longer than a user wants
to wait for a completion.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import typer

from fedcli.keys.location import choices, config_folder

#: A completed word, and what it means.
Completion = tuple[str, str]

_KEY = re.compile(r"^( *)([A-Za-z_]\w*): *(.*?) *(?: #.*)?$")
_DEFAULT = re.compile(r"^ +- (?:override )?/?([\w/]+)(?:: *(\S+))?")


@dataclass
class ConfigText:
    """What a YAML file says, as far as completion needs it.

    Attributes:
        keys: The help and the default of each key, by its path within the file.
        groups: The default choice of each group in its defaults list.
        bases: Other configs of the same folder in its defaults list.
    """

    keys: dict[str, tuple[str, str]] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    bases: list[str] = field(default_factory=list)


def complete_override(ctx: typer.Context, incomplete: str) -> list[Completion]:
    """Completes a KEY=VALUE argument of a command that has a config."""
    line = _Line.read(ctx, incomplete, "overrides")
    folders = [config_folder(), *map(Path, ctx.params.get("config_dir") or ())]
    # A command without a config of its own name takes the one of train.
    command = ctx.info_name if (folders[0] / f"{ctx.info_name}.yaml").is_file() else "train"
    return line.ending(_overrides(line.word, line.before, command or "train", folders))


def complete_dataset(ctx: typer.Context, incomplete: str) -> list[Completion]:
    """Completes the name of a data set."""
    names = choices().get("dataset", [])
    return [(name, _title(config_folder() / "dataset" / f"{name}.yaml")) for name in names]


def complete_dataset_key(ctx: typer.Context, incomplete: str) -> list[Completion]:
    """Completes a KEY=VALUE argument of a data set, its key with or without `dataset.`."""
    line = _Line.read(ctx, incomplete, "overrides")
    file = config_folder() / "dataset" / f"{ctx.params.get('name')}.yaml"
    keys = {key: about for key, about in _read(file).keys.items() if key != "name"} if file.is_file() else {}
    prefix = "dataset." if line.word.startswith("dataset.") else ""
    key, equals, value = line.word.removeprefix(prefix).partition("=")
    if equals:
        return line.ending(_values(f"{prefix}{key}=", value, _switch(keys.get(key))))
    return line.ending((f"{prefix}{name}=", _about(*about)) for name, about in keys.items())


@dataclass(frozen=True)
class _Line:
    """The arguments before the cursor, as fedcli would get them.

    Attributes:
        before: The finished arguments.
        word: The argument that is to be completed.
        kept: What of it the shell keeps: a completion replaces only what comes after it.
    """

    before: Sequence[str]
    word: str
    kept: str = ""

    @classmethod
    def read(cls, ctx: typer.Context, incomplete: str, parameter: str) -> _Line:
        """Reads the command line. Bash, unlike other shells, has taken it apart at `=` and `:`."""
        if os.environ.get("_FEDCLI_COMPLETE") != "complete_bash":
            return cls(ctx.params.get(parameter) or [], incomplete)
        parts = os.environ.get("COMP_WORDS", "").split()
        position = int(os.environ.get("COMP_CWORD", len(parts)))
        *before, word = _joined(parts[:position], parts[position] if position < len(parts) else "")
        # After `dataset=` the word of the shell is `=`, yet what it replaces comes after that.
        replaced = re.split(r"[=:]", word)[-1]
        return cls(before, word, word.removesuffix(replaced))

    def ending(self, completions: Iterator[Completion]) -> list[Completion]:
        """Returns the completions that fit, without what the shell keeps."""
        fitting = {value: about for value, about in completions if value.startswith(self.word)}
        return [(value[len(self.kept) :], about) for value, about in fitting.items()]


def _joined(parts: Sequence[str], last: str) -> list[str]:
    """Puts together what bash took apart. An empty last part is a new argument, `=` alone an unfinished one."""
    words: list[str] = []
    continues = False
    for part in (*parts, last):
        breaks = bool(re.fullmatch(r"[=:]+", part))
        if words and part and (breaks or continues):
            words[-1] += part
        else:
            words.append(part)
        continues = breaks
    return words


def _overrides(word: str, before: Sequence[str], command: str, folders: Sequence[Path]) -> Iterator[Completion]:
    plus = word[: len(word) - len(word.lstrip("+"))]
    key, equals, value = word[len(plus) :].partition("=")
    config = _command_config(command, folders[0])
    available = {group: names for group, names in choices(folders[1:]).items() if group in config.groups}
    if equals:
        options = available.get(key) or _switch(_keys(config, key, available, before, folders).get(key))
        yield from _values(f"{plus}{key}=", value, options)
    elif "." in key:
        for path, about in _keys(config, key, available, before, folders).items():
            yield f"{plus}{path}=", _about(*about)
    else:
        for group, names in available.items():
            default = config.groups[group]
            yield f"{plus}{group}=", f"{', '.join(names)}{f' (now {default})' if default != 'null' else ''}"
            # The keys of a group only where it is typed out, so that `dat` is completed to `dataset=` at once.
            if group == key and any(_group_keys(group, available[group], folders)):
                yield f"{plus}{group}.", f"keys of {group}"
        for path, about in config.keys.items():
            section, dot, _ = path.partition(".")
            if dot:
                yield f"{plus}{section}.", f"keys of {section}"
            else:
                yield f"{plus}{path}=", _about(*about)


def _keys(
    config: ConfigText, key: str, available: dict[str, list[str]], before: Sequence[str], folders: Sequence[Path]
) -> dict[str, tuple[str, str]]:
    """Returns the keys, by path, that a key being typed can be one of."""
    group = key.partition(".")[0]
    if group not in available:
        return config.keys
    # The choice on the line, if there is one, else any: the keys may come before the choice.
    chosen = [word.partition("=")[2] for word in before if word.startswith(f"{group}=")]
    names = chosen[-1].split(",") if chosen else available[group]
    return {f"{group}.{name}": about for name, about in _group_keys(group, names, folders).items()}


def _group_keys(group: str, names: Sequence[str], folders: Sequence[Path]) -> dict[str, tuple[str, str]]:
    keys: dict[str, tuple[str, str]] = {}
    for name in names:
        for folder in folders:
            file = folder / group / f"{name}.yaml"
            # A preset such as an experiment sets other groups' keys and has none of its own.
            if file.is_file() and not file.read_text(encoding="utf-8").startswith("# @package _global_"):
                keys = _read(file).keys | keys
    keys.pop("name", None)
    return keys


def _values(prefix: str, value: str, options: Sequence[str]) -> Iterator[Completion]:
    """Completes the last of several values separated by commas, as a sweep takes them."""
    earlier, comma, _ = value.rpartition(",")
    for option in options:
        if option not in earlier.split(","):
            yield f"{prefix}{earlier}{comma}{option}", ""


def _switch(about: tuple[str, str] | None) -> list[str]:
    """Returns the values of a key that is true or false."""
    return ["true", "false"] if about and about[1] in ("true", "false") else []


def _about(help: str, default: str) -> str:
    return f"{help} (now {default})" if help else f"now {default}"


def _command_config(command: str, folder: Path) -> ConfigText:
    """Reads a command's config and those that it is based on."""
    config = _read(folder / f"{command}.yaml")
    for base in config.bases:
        if base != "_self_" and base != command and (folder / f"{base}.yaml").is_file():
            below = _command_config(base, folder)
            config.keys = below.keys | config.keys
            config.groups = below.groups | config.groups
    return config


def _read(file: Path) -> ConfigText:
    """Reads a YAML file line by line: keys, at most one section deep, each with the comment above it."""
    config = ConfigText()
    section, comment = "", ""
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.lstrip().startswith("#"):
            comment = f"{comment} {line.strip().lstrip('# ')}".strip()
            continue
        if section == "defaults." and (default := _DEFAULT.match(line)):
            group, choice = default.groups()
            if choice is None:
                config.bases.append(group)
            elif not group.startswith("hydra"):
                config.groups[group] = choice
        elif match := _KEY.match(line):
            indent, name, value = match.groups()
            if not indent:
                section = "" if value else f"{name}."
            if value and section != "defaults.":
                config.keys[section + name if indent else name] = (comment.rstrip("."), value)
        comment = ""
    return config


def _title(file: Path) -> str:
    """Returns the comment that a YAML file begins with."""
    with file.open(encoding="utf-8") as lines:
        first = lines.readline().strip()
    return first.lstrip("# ") if first.startswith("#") else ""
