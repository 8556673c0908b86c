"""`fedcli data`: lists, fetches, imports and inspects data sets."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedcli.cli import data_import, options
from fedcli.cli.completion import complete_dataset, complete_dataset_key
from fedcli.cli.console import can_show, output
from fedcli.cli.errors import shown_errors
from fedcli.shell import command_line, shell_word, shown_path

if TYPE_CHECKING:
    from fedcli.datasets.base import DatasetConfig
    from fedcli.datasets.inspect import Listing, Summary
    from fedcli.datasets.label_shares import LabelShares
    from fedcli.partitions.base import PartitionConfig

app = typer.Typer(
    help="Lists, fetches, imports and inspects data sets.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",
)
app.command("import")(data_import.command)

_Name = Annotated[
    str, typer.Argument(metavar="NAME", help="The data set, as in dataset=NAME.", autocompletion=complete_dataset)
]
_Origin = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Where to fetch from, http(s):// or file://.",
        show_default="$FEDCLI_ORIGIN, else Google's bucket",
    ),
]
_CacheDir = Annotated[
    str | None,
    typer.Option(
        metavar="FOLDER", help="Where to keep what is fetched.", show_default="$FEDCLI_CACHE, else ~/.cache/fedcli"
    ),
]


@app.command("list")
def list_(
    origin: _Origin = None,
    cache_dir: _CacheDir = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Lists the data sets, imported ones too: their clients, their size and whether they are in the cache."""
    with shown_errors(json=json, quiet=quiet, verbose=verbose, debug=debug):
        from fedcli.datasets.inspect import list_datasets

        listings = list_datasets(origin, cache_dir)
        if output.json:
            output.document({"datasets": [dataclasses.asdict(listing) for listing in listings]})
        else:
            _show_listings(listings)


@app.command()
def fetch(
    name: _Name,
    origin: _Origin = None,
    cache_dir: _CacheDir = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Downloads a data set into the cache, checks it, and prints where it is.

    An interrupted download goes on where it stopped.
    """
    # How far a fetch is, it logs; on a terminal it shows a bar.
    with shown_errors(json=json, quiet=quiet, verbose=True, debug=debug):
        from fedcli.datasets.cache import is_cached

        config, _ = _dataset(name, (), origin, cache_dir)
        file = config.cached_file()
        if file is None:
            output.say(f"{name} ships with fedcli: there is nothing to fetch")
            if output.json:
                output.document({"name": name, "path": None, "fetched": False, "bytes": 0})
            return
        was_there = is_cached(file)
        config.load().close()
        size = file.stat().st_size
        output.say(f"{name} {'was in the cache already' if was_there else 'is in the cache'}: {_size(size)}")
        if output.json:
            output.document({"name": name, "path": str(file), "fetched": not was_there, "bytes": size})
        else:
            output.result(f"{file}\n")


@app.command("inspect", context_settings={"ignore_unknown_options": True})
def inspect(
    name: _Name,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY=VALUE]...",
            help="Keys of the data set, such as only_digits=false, and of a partition: partition=dirichlet "
            "partition.alpha=0.1.",
            autocompletion=complete_dataset_key,
        ),
    ] = None,
    png: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the label shares of the clients into a PNG file.")
    ] = None,
    origin: _Origin = None,
    cache_dir: _CacheDir = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Counts what a data set holds: its clients, their examples, the labels of each and the test split.

    The data set is fetched first where it is not in the cache.
    """
    with shown_errors(json=json, quiet=quiet, verbose=verbose, debug=debug):
        from fedcli.runtime.tensorflow_settings import set_up_tensorflow

        config, partition = _dataset(name, overrides or (), origin, cache_dir)
        partition.check(config.spec)
        if png is not None:
            _check_png(png, config)
        # Reading examples imports TensorFlow.
        set_up_tensorflow()
        from fedcli.datasets.inspect import summarize
        from fedcli.datasets.label_shares import LabelShares, write_png

        output.say(f"reading {name} ...")
        with config.load() as whole, partition.apply(whole) as dataset:
            summary = summarize(config, dataset)
        names = config.class_names()
        shares = LabelShares.of(summary.client_labels, names)
        if output.json:
            output.document(
                dataclasses.asdict(summary)
                | {
                    "labels": {names[label]: count for label, count in summary.labels.items()},
                    "client_labels": {
                        client: {names[label]: count for label, count in labels.items() if count}
                        for client, labels in summary.client_labels.items()
                    },
                    "label_distance": shares.distance,
                    "partition": partition.name,
                    "kind": config.spec.kind,
                }
            )
        else:
            _show_summary(summary, names, config.spec.kind, partition)
            if config.spec.kind != "text":
                _show_shares(shares)
        if png is not None:
            of = "" if partition.name == "natural" else f", {_described(partition)}"
            write_png(shares, f"label shares of the clients of {config.title}{of}", png)
            output.say(f"plot: {png}")


def _dataset(
    name: str, overrides: Sequence[str], origin: str | None, cache_dir: str | None
) -> tuple[DatasetConfig, PartitionConfig]:
    """Builds the typed config of a data set, and of a partition of it.

    Raises:
        UsageError: There is no such data set, or an argument is not KEY=VALUE.
        ConfigError: A key or a value is wrong.
    """
    from fedcli.datasets import datasets
    from fedcli.datasets.importing.store import imported_names
    from fedcli.errors import UsageError
    from fedcli.partitions.natural import Natural
    from fedcli.suggest import did_you_mean

    settings: dict[str, Any] = {"origin": origin, "cache_dir": cache_dir}
    component = name
    if name not in datasets.components:
        imported = imported_names(cache_dir)
        if name not in imported:
            raise UsageError(f"{name}: no such data set", did_you_mean(name, [*datasets.components, *imported]))
        component, settings["source"] = "imported", name
    if not overrides:
        return datasets[component](name=component, **settings), Natural()

    from hydra.core.override_parser.overrides_parser import OverridesParser

    from fedcli.cli.overrides import checked_overrides
    from fedcli.components.typed import typed
    from fedcli.datasets.base import DatasetConfig
    from fedcli.partitions.base import PartitionConfig

    schema: type[Any] = dataclasses.make_dataclass(
        "Inspected", [("dataset", DatasetConfig), ("partition", PartitionConfig)]
    )
    dealt: dict[str, Any] = {"name": "natural"}
    arguments = [_of_dataset(argument) for argument in overrides]
    parser = OverridesParser.create()
    for line in checked_overrides(arguments, schema, sweep=False):
        override = parser.parse_override(line)
        group, _, of_partition = override.key_or_group.partition(".")
        if group == "partition":
            dealt[of_partition or "name"] = override.value()
            continue
        key = override.key_or_group.removeprefix("dataset.")
        if override.is_delete() or key in ("dataset", "name"):
            raise UsageError(
                f"{line}: not a key of {name}",
                f"another data set: {command_line('fedcli', 'data', 'inspect', str(override.value()))}",
            )
        settings[key] = override.value()
    config = typed({"dataset": {"name": component, **settings}, "partition": dealt}, schema)
    return config.dataset, config.partition


def _check_png(png: Path, config: DatasetConfig) -> None:
    from fedcli.cli.used_folder import refuse_in_a_run
    from fedcli.errors import UsageError

    refuse_in_a_run(png, "--png")
    if config.spec.kind == "text":
        raise UsageError(f"--png {png}: the examples of a text have no labels to draw", "leave --png out")
    if png.suffix.lower() != ".png":
        raise UsageError(
            f"--png {png}: the name of a PNG file ends in .png", f"--png {shell_word(png.with_suffix('.png'))}"
        )
    if not png.absolute().parent.is_dir():
        raise UsageError(
            f"--png {png}: there is no folder {png.parent}",
            f"make it first: mkdir -p {shown_path(png.absolute().parent)}",
        )


def _of_dataset(argument: str) -> str:
    """Returns `only_digits=false` as `dataset.only_digits=false`; what is not KEY=VALUE as it is."""
    key, equals, _ = argument.partition("=")
    if not equals or argument.startswith(("-", "~", "dataset.")) or key in ("dataset", "partition"):
        return argument
    if argument.lstrip("+").startswith("partition."):
        return argument
    return f"dataset.{argument.lstrip('+')}"


def _show_listings(listings: Sequence[Listing]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("name", style="cyan", no_wrap=True)
    table.add_column("clients", justify="right", no_wrap=True)
    table.add_column("what", ratio=3)
    table.add_column("size", ratio=1)
    table.add_column("cached", overflow="fold", ratio=2)
    for listing in listings:
        if listing.path is None:
            size, cached = "", "ships with fedcli"
        elif listing.cached:
            size, cached = f"{_size(listing.disk_bytes)} on disk", listing.path
        else:
            size = f"{_size(listing.download_bytes)} to fetch, {_size(listing.disk_bytes)} on disk"
            cached = f"no: {command_line('fedcli', 'data', 'fetch', listing.name)}"
        table.add_row(listing.name, f"{listing.clients:,}", listing.description, size, cached)
    _print(table)


def _show_summary(summary: Summary, names: Sequence[str], kind: str, partition: PartitionConfig) -> None:
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("data set", summary.name)
    if partition.name != "natural":
        table.add_row("partition", _described(partition))
    table.add_row("training clients", f"{summary.clients:,}")
    table.add_row("  without a batch", f"{summary.clients_without_batches:,}")
    unit = "sequences" if kind == "text" else "examples"
    table.add_row(f"training {unit}", f"{summary.examples:,}")
    table.add_row(
        f"{unit} a client",
        f"min {summary.examples_min:,}, median {summary.examples_median:,g}, max {summary.examples_max:,}",
    )
    table.add_row(f"test {unit}", f"{summary.test_examples:,}")
    counts = [(names[label], count) for label, count in summary.labels.items() if count]
    if kind == "text":
        # Of characters only the order tells something.
        counts.sort(key=lambda item: -item[1])
    of = "" if summary.labels_clients == summary.clients else f" of {summary.labels_clients} clients"
    what = "characters" if kind == "text" else "labels"
    listed = "  ".join(f"{repr(name) if kind == 'text' else name}: {count:,}" for name, count in counts)
    table.add_row(f"{what}{of}", listed or "none")
    _print(table)


def _described(partition: PartitionConfig) -> str:
    """Writes a partition with its keys: `dirichlet, alpha=0.1, num_clients=100, seed=0`."""
    settings = dataclasses.asdict(partition)
    name = settings.pop("name")
    return ", ".join([name, *(f"{key}={value}" for key, value in settings.items())])


def _show_shares(shares: LabelShares) -> None:
    from fedcli.datasets.label_shares import ASCII_SHADES, SHADES, draw_lines, legend

    shades = SHADES if can_show(SHADES) else ASCII_SHADES
    output.result("\nshare of each label in a client's training examples\n")
    output.result("".join(f"{line}\n" for line in draw_lines(shares, shades)))
    output.result(f"{legend(shades)}\n")
    output.result(
        f"mean distance of a client's shares from those of all: {shares.distance:.3f} (0: the same; 1: nothing alike)\n"
    )


def _print(table: Any) -> None:
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    if console.is_terminal:
        console.print(table)
        return
    # In a file or a pipe nothing is folded or filled up: each row is a line, for grep and cut.
    for column in table.columns:
        column.ratio = None
    wide = Console(highlight=False, markup=False, width=10_000, file=StringIO())
    wide.print(table)
    assert isinstance(wide.file, StringIO)
    output.result("".join(f"{line.rstrip()}\n" for line in wide.file.getvalue().splitlines()))


def _size(count: int) -> str:
    """Writes a number of bytes: `171 MB`."""
    value, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    return f"{value:.3g} {unit}"
