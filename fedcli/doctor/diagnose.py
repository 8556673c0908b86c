"""All checks, the quick ones first."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fedcli.doctor.check import Check
from fedcli.doctor.folders import check_cache, check_output
from fedcli.doctor.imports import check_imports
from fedcli.doctor.isolation import check_isolation
from fedcli.doctor.origin import check_origin
from fedcli.doctor.packages import check_bytecode, check_packages, check_platform, check_python
from fedcli.doctor.rounds import check_rounds


def diagnose(
    origin: str | None = None,
    cache_dir: str | None = None,
    output_dir: str = "outputs",
    doing: Callable[[str], None] = lambda what: None,
) -> Iterator[Check]:
    """Checks an installation.

    Args:
        origin: See `resolve_origin`.
        cache_dir: See `resolve_cache_dir`.
        output_dir: Folder that runs are recorded in.
        doing: Called with what is about to be done, where that takes long.

    Yields:
        Each result as soon as it is known.
    """
    yield from _guarded("platform", check_platform)
    yield from _guarded("python", check_python)
    yield from _guarded("packages", check_packages)
    yield from _guarded("cache", lambda: check_cache(cache_dir))
    yield from _guarded("outputs", lambda: check_output(output_dir))
    doing("asking the data's origin")
    yield from _guarded("origin", lambda: check_origin(origin))
    doing("importing TensorFlow and TensorFlow Federated")
    imports = [*_guarded("imports", check_imports)]
    yield from imports
    # After the import, which compiles what it can.
    yield from _guarded("bytecode", check_bytecode)
    yield from _guarded("isolation", check_isolation)
    if all(check.status == "passed" for check in imports):
        doing("running one round on each runtime")
        yield from check_rounds()


def _guarded(name: str, check: Callable[[], Check]) -> Iterator[Check]:
    """Makes one check. In a broken installation anything may be raised: it is what the check has found."""
    try:
        yield check()
    except Exception as error:
        yield Check(
            name,
            "failed",
            f"{type(error).__name__}: {' '.join(str(error).split())[:300]}",
            "reinstall fedcli with its dependencies, as its README says",
        )
