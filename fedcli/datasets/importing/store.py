"""Where imported data sets are kept, and what each says of itself."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from urllib.parse import quote

from fedcli.datasets.cache import is_intact
from fedcli.datasets.origin import resolve_cache_dir
from fedcli.errors import ConfigError, DataError, UsageError
from fedcli.shell import shell_word
from fedcli.suggest import did_you_mean

_SUFFIX = ".sqlite"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")

#: Tables beside those of TFF's form: what follows as JSON, and the rows that were left out.
ABOUT_TABLE = "CREATE TABLE fedcli_import (document TEXT NOT NULL)"
BAD_ROWS_TABLE = "CREATE TABLE fedcli_bad_rows (place TEXT NOT NULL, reason TEXT NOT NULL)"


@dataclass(frozen=True)
class About:
    """What an imported data set says of itself.

    Attributes:
        name: Its name.
        kind: `image`, `table` or `text`.
        x_shape: Shape of one input; [] for text.
        columns: Names of the inputs of a table; empty for others.
        classes: Name of each class, the position being its label; empty for text.
        train_clients: Number of clients with training examples.
        test_clients: Number of clients with test examples.
        train_examples: Number of training examples; of lines or rows for text.
        test_examples: Number of test examples, likewise.
        bad_rows: How many rows were left out. The table `fedcli_bad_rows` has each with its place and reason.
        unknown_characters: Bytes of texts that the vocabulary does not have.
        source: Path of what was imported.
        split: How train and test were split, for people.
        imported_at: When, ISO 8601 in UTC.
        notes: What people should know of how the source was read, a sentence each.
        version: Of this form.
    """

    name: str
    kind: str
    x_shape: Sequence[int]
    columns: Sequence[str]
    classes: Sequence[str]
    train_clients: int
    test_clients: int
    train_examples: int
    test_examples: int
    bad_rows: int
    unknown_characters: int
    source: str
    split: str
    imported_at: str
    notes: Sequence[str] = ()
    version: int = 1

    def to_json(self) -> str:
        """Writes it as JSON."""
        return json.dumps(asdict(self))

    @property
    def description(self) -> str:
        """What it is, in one line."""
        what = {
            "image": f"images {'x'.join(map(str, self.x_shape))}, {len(self.classes)} classes",
            "table": f"{len(self.columns)} columns, {len(self.classes)} classes",
            "text": "texts",
        }[self.kind]
        return f"{what}, imported from {Path(self.source).name}: dataset=imported dataset.source={self.name}"


def imported_file(name: str, cache_dir: str | Path | None = None) -> Path:
    """Returns where a data set is kept, there or not."""
    return _folder(cache_dir) / f"{name}{_SUFFIX}"


def imported_names(cache_dir: str | Path | None = None) -> list[str]:
    """Lists the names of the imported data sets."""
    folder = _folder(cache_dir)
    return sorted(file.name.removesuffix(_SUFFIX) for file in folder.glob(f"*{_SUFFIX}") if _is_name(file))


def check_name(name: str) -> None:
    """Refuses what no data set can be called.

    Raises:
        UsageError: It is no such name, or that of a data set that comes with fedcli or a plugin.
    """
    from fedcli.datasets import datasets

    if not _NAME.fullmatch(name) or name.endswith(_SUFFIX):
        raise UsageError(
            f"{name}: not a name for a data set", "letters, digits, dots, - and _, beginning with a letter or a digit"
        )
    if name in datasets.components:
        raise UsageError(f"{name}: that is a data set already, dataset={name}", "choose another name")


def read_about(name: str, cache_dir: str | Path | None = None) -> About:
    """Reads what an imported data set says of itself.

    Raises:
        ConfigError: There is none of that name.
        DataError: It is damaged.
    """
    file = imported_file(name, cache_dir) if _NAME.fullmatch(name) else None
    if file is None or not file.exists():
        names = imported_names(cache_dir)
        raise ConfigError(
            f"dataset.source={name}: no imported data set of that name in {_folder(cache_dir)}",
            did_you_mean(name, names) if names else f"make it with fedcli data import {shell_word(name)} FILE",
        )
    try:
        uri = f"file:{quote(str(file))}?mode=ro&immutable=1"
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            (text,) = connection.execute("SELECT document FROM fedcli_import").fetchone()
        document = json.loads(text)
        if document["version"] != 1:
            raise DataError(
                f"{file} was imported by a later fedcli (form {document['version']})",
                "install that, or import it again",
            )
        # Imports of earlier versions have no notes.
        document = {"notes": [], **document}
        return About(**{field.name: document[field.name] for field in fields(About)})
    except (sqlite3.Error, ValueError, TypeError, KeyError) as error:
        raise damaged(name, file) from error


def check_intact(name: str, file: Path) -> None:
    """Refuses a file that is not as it was when the import was done.

    Raises:
        DataError: It is not.
    """
    if not is_intact(file):
        raise damaged(name, file)


def damaged(name: str, file: Path) -> DataError:
    """Returns the error for a file that was changed or only half copied."""
    return DataError(
        f"{file} is not what was imported", f"import it again: fedcli data import --replace {shell_word(name)} FILE"
    )


def _folder(cache_dir: str | Path | None) -> Path:
    return resolve_cache_dir(cache_dir) / "imported"


def _is_name(file: Path) -> bool:
    return bool(_NAME.fullmatch(file.name.removesuffix(_SUFFIX))) and file.is_file()
