import importlib
import sys
from dataclasses import dataclass
from importlib.metadata import EntryPoint, EntryPoints

import pytest

from fedcli import registry
from fedcli.components.groups import groups, keys_of_group
from fedcli.errors import ConfigError
from fedcli.registry import Component, Registry

#: Entry points of installed packages, and their groups.
THEIRS = {"theirs": "fruit", "carrot": "vegetable"}


@dataclass(frozen=True)
class Theirs(Component):
    """Stands for a third party's component."""

    name: str = "theirs"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An importable package with two components in a file each."""
    folder = tmp_path / "fruits_of_test"
    folder.mkdir()
    (folder / "__init__.py").write_text("from fedcli.registry import Registry\nfruits = Registry('fruit', __name__)\n")
    for name in ("pear", "apple"):
        (folder / f"{name}.py").write_text(
            "from dataclasses import dataclass\nfrom fedcli.registry import Component\n"
            f"from fruits_of_test import fruits\n@fruits.register('{name}')\n@dataclass(frozen=True)\n"
            f"class Fruit(Component):\n    name: str = '{name}'\n"
        )
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("fruits_of_test")
    for name in [name for name in sys.modules if name.split(".")[0] == "fruits_of_test"]:
        del sys.modules[name]


def test_python_files_of_the_package_are_found(package):
    assert list(package.fruits.components) == ["apple", "pear"]
    assert package.fruits["pear"]().name == "pear"


def test_unknown_name_is_refused_with_the_choices(package):
    with pytest.raises(ConfigError) as caught:
        package.fruits["plum"]
    assert caught.value.message == "fruit.name=plum: no such fruit"
    assert caught.value.hint == "choose one of: apple, pear"


def test_entry_points_add_components_of_their_group_only(package, monkeypatch):
    offered = [EntryPoint(name, f"{__name__}:Theirs", f"fedcli.{group}") for name, group in THEIRS.items()]
    monkeypatch.setattr(registry, "_installed", lambda: EntryPoints(offered))
    assert list(package.fruits.components) == ["apple", "pear", "theirs"]
    assert package.fruits["theirs"].__name__ == "Theirs"


def test_register_returns_the_class():
    assert Registry("fruit", "fruits").register("theirs")(Theirs) is Theirs


@pytest.mark.parametrize("group", groups())
def test_every_group_has_components_whose_default_name_is_their_own(group):
    components = groups()[group].components
    assert components
    for name, component in components.items():
        assert component(name=name).name == component.__dataclass_fields__["name"].default == name


def test_keys_of_a_group_say_which_choices_have_them():
    keys = keys_of_group("client_optimizer")
    assert keys["momentum"] == ["sgd"]
    assert keys["weight_decay"] == ["adamw"]
    assert keys["learning_rate"] == sorted(groups()["client_optimizer"].components)
