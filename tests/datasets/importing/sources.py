"""What the tests of the import make and read."""

import csv
import sqlite3
from contextlib import closing

from fedcli.datasets.importing.build import Request, import_source
from fedcli.datasets.importing.columns import ColumnNames
from fedcli.datasets.importing.rows import BadRow
from fedcli.datasets.importing.split import Fraction
from fedcli.datasets.importing.store import imported_file
from fedcli.datasets.importing.tables import CsvTable

COLUMNS = ColumnNames(label="label", client="client")


def write_csv(path, rows, header=("client", "label", "a", "b"), **options):
    """Writes a CSV file with Python's own writer."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, **options)
        writer.writerow(header)
        writer.writerows(rows)
    return path


def bad_rows(source, contents=True):
    """Returns (place, reason) of a source's bad rows."""
    return [(row.place, row.reason) for row in source.rows(contents) if isinstance(row, BadRow)]


def good_rows(source):
    """Returns a source's good rows."""
    return [row for row in source.rows(True) if not isinstance(row, BadRow)]


def imported(source, name="mine", *, test=0.2, seed=0, skip=False, replace=False):
    """Imports a source into the cache that FEDCLI_CACHE names."""
    fraction = Fraction(test, seed, last=source.kind == "text")
    request = Request(name, "the source", fraction, skip_bad_rows=skip, replace=replace)
    return import_source(source, request, imported_file(name))


def imported_csv(path, rows, names=COLUMNS, header=("client", "label", "a", "b"), **options):
    """Writes and imports a CSV file."""
    return imported(CsvTable(write_csv(path, rows, header), names), **options)


def query(name, sql):
    """Reads from an imported database with SQLite alone."""
    with closing(sqlite3.connect(imported_file(name))) as connection:
        return connection.execute(sql).fetchall()
