"""`fedcli data import`: makes a data set of a table, of images or of texts."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedcli.cli import options
from fedcli.cli.console import output
from fedcli.cli.errors import shown_errors
from fedcli.shell import shell_word, shown_path

if TYPE_CHECKING:
    from fedcli.datasets.importing.columns import ColumnNames
    from fedcli.datasets.importing.rows import Source
    from fedcli.datasets.importing.store import About

_TABLES, _FOLDERS = "Tables (CSV, Parquet)", "Folders (images, texts)"
_SPLIT, _OUTPUT = "Train and test", "Options"


def command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call the data set.")],
    source: Annotated[
        Path,
        typer.Argument(metavar="SOURCE", help="A .csv, .tsv or .parquet file, or a folder of images or of texts."),
    ],
    label: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The class of a row.", rich_help_panel=_TABLES)
    ] = None,
    client: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Whose row it is. Without it all rows are one client's, for a partition to deal.",
            rich_help_panel=_TABLES,
        ),
    ] = None,
    features: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN,...",
            help="The inputs, numbers.",
            show_default="all other columns",
            rich_help_panel=_TABLES,
        ),
    ] = None,
    text: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="A text in place of label and features.", rich_help_panel=_TABLES),
    ] = None,
    missing: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT,...",
            help="What stands for a missing value, which makes a row bad; '' if no text does.",
            show_default="NA, N/A, NaN, NULL, None, \\N, #N/A and the like",
            rich_help_panel=_TABLES,
        ),
    ] = None,
    delimiter: Annotated[
        str | None,
        typer.Option(
            metavar="CHARACTER",
            help="What separates the fields of a CSV file.",
            show_default="a comma; a tab in .tsv",
            rich_help_panel=_TABLES,
        ),
    ] = None,
    layout: Annotated[
        str | None,
        typer.Option(
            metavar="PARTS",
            help="What the parts of a file's path are: CLIENT, LABEL, SPLIT, * for nothing.",
            show_default="CLIENT/LABEL/* for images, CLIENT/* for texts",
            rich_help_panel=_FOLDERS,
        ),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            metavar="images|texts",
            help="What a folder that holds both is imported as.",
            show_default="which has more files",
            rich_help_panel=_FOLDERS,
        ),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            metavar="HEIGHTxWIDTH",
            help="Scale images to this.",
            show_default="take those of the first one's size only",
            rich_help_panel=_FOLDERS,
        ),
    ] = None,
    channels: Annotated[
        int | None,
        typer.Option(
            metavar="1|3", help="Gray or colored.", show_default="as the first image", rich_help_panel=_FOLDERS
        ),
    ] = None,
    background: Annotated[
        str | None,
        typer.Option(
            metavar="white|black",
            help="What shows through transparent images.",
            show_default="white",
            rich_help_panel=_FOLDERS,
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="A column that says train or test.", rich_help_panel=_SPLIT),
    ] = None,
    test_fraction: Annotated[
        float | None,
        typer.Option(
            metavar="FRACTION",
            help="How much of each client is for the test: a seeded choice, of texts the last lines.",
            show_default="0.2",
            rich_help_panel=_SPLIT,
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, metavar="NUMBER", help="Where that choice comes from.", rich_help_panel=_SPLIT)
    ] = 0,
    bad_rows: Annotated[
        str,
        typer.Option(
            metavar="fail|skip",
            help="What to do about rows that cannot be used: refuse all, or leave them out and report each.",
            rich_help_panel=_OUTPUT,
        ),
    ] = "fail",
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace an imported data set of this name.", rich_help_panel=_OUTPUT)
    ] = False,
    cache_dir: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="Where data sets are kept.",
            show_default="$FEDCLI_CACHE, else ~/.cache/fedcli",
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Makes a data set of your own: train on it with dataset=imported dataset.source=NAME.

    Every row is checked, then all are written in the form of TFF's published data sets, without holding them in
    memory. An import that fails or is interrupted leaves nothing.
    """
    with shown_errors(json=json, quiet=quiet, verbose=verbose, debug=debug):
        from fedcli.datasets.importing.build import Request, import_source, refuse_taken
        from fedcli.datasets.importing.columns import ColumnNames
        from fedcli.datasets.importing.split import Fraction
        from fedcli.datasets.importing.store import check_name, imported_file
        from fedcli.errors import UsageError

        check_name(name)
        file = imported_file(name, cache_dir)
        if bad_rows not in ("fail", "skip"):
            raise UsageError(f"--bad-rows {bad_rows}: no such choice", "choose one of: fail, skip")
        if test_fraction is not None and not 0 < test_fraction < 1:
            raise UsageError(
                f"--test-fraction {test_fraction:g}: not a fraction", "give one between 0 and 1, such as 0.2"
            )
        columns = ColumnNames(label, client, split, _listed(features), text, _listed(missing))
        found = _source(source, columns, delimiter, _FolderOptions(layout, kind, size, channels, background))
        if found.split_from is not None and test_fraction is not None:
            raise UsageError(
                f"--test-fraction {test_fraction:g}: {found.split_from} says already which rows are for the test",
                "leave one of them out",
            )
        fraction = Fraction(0.2 if test_fraction is None else test_fraction, seed, last=found.kind == "text")
        request = Request(name, str(source.resolve()), fraction, skip_bad_rows=bad_rows == "skip", replace=replace)
        refuse_taken(request, file)
        output.say(f"reading {source} ...")
        about = import_source(found, request, file)
        if output.json:
            output.document(
                {**dataclasses.asdict(about), "path": str(file), "first_bad_rows": _first_bad_rows(file, 20)}
            )
        else:
            _report(about, file, found.unit)


def _source(
    source: Path,
    names: ColumnNames,
    delimiter: str | None,
    folder: _FolderOptions,
) -> Source:
    """Finds out what the source is, and refuses options that do not belong to it."""
    from fedcli.datasets.importing.tables import CsvTable, ParquetTable
    from fedcli.errors import UsageError

    of_tables = {f"--{key}": value for key, value in dataclasses.asdict(names).items()} | {"--delimiter": delimiter}
    if not source.exists():
        raise UsageError(f"{source}: no such file or folder", "give a CSV or Parquet file, or a folder")
    if source.is_dir():
        _refuse(of_tables, f"{source} is a folder", "--layout says what the parts of its paths mean")
        return _folder(source, folder)
    _refuse(folder.given(), f"{source} is a file", "these options are for folders")
    if not source.is_file():
        raise UsageError(f"{source}: not a regular file", "write what it gives to a file: it is read twice")
    suffix = source.suffix.lower()
    if suffix in (".parquet", ".pq"):
        _refuse({"--delimiter": delimiter}, f"{source} is a Parquet file", "that option is for CSV files")
        return ParquetTable(source, names)
    if suffix not in (".csv", ".tsv"):
        raise UsageError(
            f"{source}: neither a .csv, .tsv or .parquet file nor a folder", "rename it if it is one of them"
        )
    delimiter = delimiter or ("\t" if suffix == ".tsv" else ",")
    delimiter = "\t" if delimiter == "\\t" else delimiter
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise UsageError(f"--delimiter {delimiter}: not one character", r"such as ; or \t")
    return CsvTable(source, names, delimiter)


@dataclass(frozen=True)
class _FolderOptions:
    """The options for folders, as they were typed; None where one was not."""

    layout: str | None
    kind: str | None
    size: str | None
    channels: int | None
    background: str | None

    def given(self) -> dict[str, object]:
        """Returns all of them by name."""
        return {f"--{key}": value for key, value in dataclasses.asdict(self).items()}

    def of_images(self) -> dict[str, object]:
        """Returns those for images by name."""
        return {"--size": self.size, "--channels": self.channels, "--background": self.background}


def _folder(source: Path, options: _FolderOptions) -> Source:
    """Finds out whether a folder is one of images or of texts, and refuses options that do not belong to it."""
    from fedcli.datasets.importing.folders import IMAGE_LAYOUT, TEXT_LAYOUT
    from fedcli.datasets.importing.images import BACKGROUNDS, ImageFolder
    from fedcli.datasets.importing.texts import TextFolder
    from fedcli.errors import UsageError

    if _holds_texts(source, options):
        _refuse(options.of_images(), f"{source} is a folder of texts", "these options are for images")
        return TextFolder(source, options.layout or TEXT_LAYOUT)
    if options.channels not in (None, 1, 3):
        raise UsageError(f"--channels {options.channels}: not a number of channels", "1 for gray, 3 for colors")
    background = options.background or "white"
    if background not in BACKGROUNDS:
        raise UsageError(f"--background {background}: no such choice", f"choose one of: {', '.join(BACKGROUNDS)}")
    return ImageFolder(source, options.layout or IMAGE_LAYOUT, _size(options.size), options.channels, background)


def _holds_texts(source: Path, options: _FolderOptions) -> bool:
    from fedcli.datasets.importing.folders import IMAGE_SUFFIXES, LABEL, TEXT_SUFFIXES, count_files
    from fedcli.errors import UsageError

    if options.kind is not None:
        if options.kind not in ("images", "texts"):
            raise UsageError(f"--kind {options.kind}: no such choice", "choose one of: images, texts")
        return options.kind == "texts"
    images, texts = count_files(source)
    if not images and not texts:
        raise UsageError(
            f"{source}: no images and no texts there",
            f"images end in {', '.join(IMAGE_SUFFIXES)}; texts in {', '.join(TEXT_SUFFIXES)}",
        )
    if not images or not texts:
        return not images
    # Texts have no labels, and none of the options for images.
    means_images = LABEL in (options.layout or "") or any(value is not None for value in options.of_images().values())
    return texts > images and not means_images


def _refuse(given: Mapping[str, object], because: str, hint: str) -> None:
    from fedcli.errors import UsageError

    wrong = [option for option, value in given.items() if value is not None]
    if wrong:
        raise UsageError(f"{', '.join(wrong)}: {because}", hint)


def _listed(text: str | None) -> list[str] | None:
    """Reads values that are separated by commas."""
    return None if text is None else [value.strip() for value in text.split(",") if value.strip()]


def _size(text: str | None) -> tuple[int, int] | None:
    from fedcli.errors import UsageError

    if text is None:
        return None
    match = re.fullmatch(r"([1-9]\d{0,3})x([1-9]\d{0,3})", text, re.ASCII)
    if match is None:
        raise UsageError(f"--size {text}: not HEIGHTxWIDTH", "give pixels, such as --size 28x28")
    return int(match[1]), int(match[2])


def _first_bad_rows(file: Path, most: int) -> list[dict[str, str]]:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(file)) as connection:
        found = connection.execute("SELECT place, reason FROM fedcli_bad_rows LIMIT ?", (most,)).fetchall()
    return [{"place": place, "reason": reason} for place, reason in found]


def _report(about: About, file: Path, unit: str) -> None:
    model = {"image": "cnn", "table": "mlp", "text": "char_rnn"}[about.kind]
    of = "lines" if about.kind == "text" else "examples"
    lines = [f"{about.name}: {about.description}"]
    lines.append(f"train: {about.train_examples:,} {of} of {about.train_clients:,} clients")
    lines.append(f"test:  {about.test_examples:,} {of} of {about.test_clients:,} clients ({about.split})")
    if about.classes and list(about.classes) != [str(label) for label in range(len(about.classes))]:
        shown = ", ".join(f"{name} is {label}" for label, name in enumerate(about.classes[:20]))
        lines.append(f"labels: {shown}{', ...' if len(about.classes) > 20 else ''}")
    lines += [f"note: {note}" for note in about.notes]
    if about.unknown_characters:
        lines.append(f"outside the vocabulary, each byte read as 'd': {about.unknown_characters:,} bytes")
    if about.bad_rows:
        first = _first_bad_rows(file, 10)
        lines.append(f"left out: {about.bad_rows:,} bad {unit}")
        lines += [f"  {row['place']}: {row['reason']}" for row in first]
        if about.bad_rows > len(first):
            lines.append(f"  and {about.bad_rows - len(first):,} more, in the table fedcli_bad_rows of that file")
    output.say("\n".join(lines))
    few = f" clients_per_round={about.train_clients}" if about.train_clients < 10 else ""
    # One client is no federation: its rows are there to be dealt.
    limit = " partition=iid" if about.train_clients == 1 else few
    output.say(f"file: {shown_path(file)}")
    output.say(f"try:  fedcli train dataset=imported dataset.source={shell_word(about.name)} model={model}{limit}")
