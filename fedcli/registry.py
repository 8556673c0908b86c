"""Finds the components that a config names: data sets, models, optimizers, aggregators and so on.

A component is a frozen dataclass, its fields the keys of its YAML file. The type of a numeric field states its finite
range (`fedcli.ranges`). Python files in the group's package
are found by themselves, so adding one is a Python file and a YAML file, nothing else. A third party adds one
from its own package with an entry point in the group `fedcli.<group>` that names the class, and a folder of
YAML files given by `--config-dir`.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.metadata import SelectableGroups, entry_points
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Generic, TypeVar

from fedcli.columns import Columns
from fedcli.errors import ConfigError
from fedcli.ranges import out_of_range


@dataclass(frozen=True)
class Component:
    """One choice of a config group; its fields are the keys of its YAML file.

    Attributes:
        name: Name in the registry.
    """

    #: What the component measures in each round, with the direction that is better: columns of metrics.csv, without
    #: the group's name before them.
    columns: ClassVar[Columns] = MappingProxyType({})

    name: str

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yields a (field, what its value must be) pair for each field whose value makes no sense.

        Here: the fields that are out of the ranges that their types state; see `fedcli.ranges`.
        """
        yield from out_of_range(self)


C = TypeVar("C", bound=Component)


class Registry(Generic[C]):
    """The components of one config group, by name.

    Args:
        group: The config group, for example `aggregator`.
        package: The package whose modules register the group's own components.
    """

    def __init__(self, group: str, package: str) -> None:
        self.group = group
        self._package = package
        self._registered: dict[str, type[C]] = {}

    def register(self, name: str) -> Callable[[type[C]], type[C]]:
        """Returns a class decorator that makes the class the component called `name`."""

        def add(component: type[C]) -> type[C]:
            self._registered[name] = component
            return component

        return add

    @cached_property
    def components(self) -> dict[str, type[C]]:
        """Every component by name, fedcli's own and those of installed packages."""
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self._package}.{module.name}")
        for entry_point in _installed().select(group=f"fedcli.{self.group}"):
            self._registered[entry_point.name] = entry_point.load()
        return dict(sorted(self._registered.items()))

    def __getitem__(self, name: str) -> type[C]:
        try:
            return self.components[name]
        except KeyError:
            raise ConfigError(
                f"{self.group}.name={name}: no such {self.group}",
                f"choose one of: {', '.join(self.components)}",
            ) from None


def foreign_source(components: Iterable[object]) -> dict[str, dict[str, Path]]:
    """Finds the Python files of the third parties' packages that components come from.

    Args:
        components: Components and other objects; what of them is fedcli's own or Python's is passed over.

    Returns:
        By package, each file by its path within the package.
    """
    modules = {kind.__module__.partition(".")[0] for component in components for kind in type(component).__mro__}
    found = {}
    for name in sorted(modules - sys.stdlib_module_names - {"fedcli"}):
        file = Path(str(sys.modules[name].__file__))
        folder = file.parent
        files = folder.rglob("*.py") if file.name == "__init__.py" else [file]
        found[name] = {str(path.relative_to(folder)): path for path in files}
    return found


@cache
def _installed() -> SelectableGroups:
    """Returns what installed packages offer, read once: their metadata are hundreds of small files."""
    return entry_points()
