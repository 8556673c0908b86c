"""Keeps the Python code that TensorFlow's AutoGraph generates in memory."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from importlib.abc import InspectLoader
from types import CodeType, ModuleType

_numbers = itertools.count()


def keep_generated_code_in_memory() -> None:
    """Has AutoGraph import what it generates without a file.

    Of itself, it writes each function to a file in the folder for temporary files. A process that is killed leaves
    them there, and one that ends leaves their bytecode.
    """
    from tensorflow.python.autograph.pyct import loader

    loader.load_source = _load_source


def _load_source(source: str, delete_on_exit: bool) -> tuple[ModuleType, str]:
    """Imports generated code, like AutoGraph's function of this name; there is nothing to delete."""
    name = f"__autograph_generated_{next(_numbers)}"
    generated = _Generated(source, f"{name}.py")
    spec = importlib.util.spec_from_loader(name, generated, origin=generated.path)
    assert spec is not None
    spec.has_location = True  # AutoGraph reads the module's __file__
    module = importlib.util.module_from_spec(spec)
    generated.exec_module(module)
    sys.modules[name] = module
    return module, generated.path


class _Generated(InspectLoader):
    """Loads one module from its text, which tracebacks and `inspect` find here too."""

    def __init__(self, source: str, path: str) -> None:
        self._source = source
        self.path = path

    def get_source(self, fullname: str) -> str:
        return self._source

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self._source, self.path)
