"""`fedcli compare` must start at once: no module of `report` may import what takes long."""

import pkgutil
import subprocess
import sys

import fedcli.report


def test_no_module_imports_anything_heavy():
    modules = sorted(module.name for module in pkgutil.iter_modules(fedcli.report.__path__))
    assert "comparison" in modules
    code = "\n".join(f"import fedcli.report.{name}" for name in modules)
    code += "\nimport sys\nheavy = {'tensorflow', 'numpy', 'scipy', 'hydra', 'omegaconf', 'matplotlib'}"
    code += "\nprint(*sorted(heavy & sys.modules.keys()))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == ""
