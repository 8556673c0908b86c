"""Says which overrides of a run's or a sweep's record a resume may take over.

Whoever can write a run folder writes its run.json. An override of Hydra's own config runs code (`hydra.callbacks`, any
`_target_`), an interpolation reads the environment of the user who resumes the run, and a few keys name a place that
decides what runs here or who sees it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from fedcli.cli.console import output
from fedcli.cli.hydra_keys import HYDRA_KEYS
from fedcli.errors import RunDirectoryError
from fedcli.keys.saved import INTERPOLATION
from fedcli.runs.ownership import is_own
from fedcli.shell import shell_word, shown_path

#: Keys that are never taken over. Compiled rounds are read from the cache folder, and their graphs run here.
_CODE = ("cache_dir", "dataset.cache_dir")
#: Keys that are taken over from records of the same user only: they name what is read or written, or who is asked.
_PLACES = ("dataset.origin", "output_dir", "logger", "pretrained", "text")
#: Addresses of Ray at which nobody else's cluster is. Others get the user's token, and send what is unpickled here.
_OWN_RAY = ("auto", "local", "null")
#: Keys of Hydra that a resume sets itself.
_SET_BY_RESUME = ("hydra.run.dir", "hydra.sweep.dir")


def replayed(record: Path, recorded: Sequence[str], now: Sequence[str], resume: str) -> list[str]:
    """Returns the overrides of a record that a resume takes over.

    Overrides of Hydra's own config are left out, with a message.

    Args:
        record: The run.json or sweep.json.
        recorded: Its overrides.
        now: The overrides that the user typed. A recorded override of the same key is left out where it needs consent.
        resume: The command that resumes the run.

    Raises:
        RunDirectoryError: An override is damaged, or the user has to type it to agree to it.
    """
    typed = [_parsed(override, record).key_or_group for override in now]
    own = is_own(record.parent, record)
    kept, left_out = [], []
    for text in recorded:
        override = _parsed(text, record)
        key = override.key_or_group
        if key == "hydra" or key.startswith(HYDRA_KEYS):
            if key not in _SET_BY_RESUME:
                left_out.append(text)
        elif (reason := _needs_consent(override, own)) is None:
            kept.append(text)
        elif not any(key == name or key.startswith(f"{name}.") for name in typed):
            again = f"{key}=VALUE" if INTERPOLATION in text else text
            raise RunDirectoryError(
                f"{record}: {text} {reason}",
                f"give the value again to go on with it, or another: {resume} {shell_word(again)}",
            )
    if left_out:
        words = " ".join(map(shell_word, left_out))
        output.say(f"not taken from {shown_path(record)}, give it again where it is needed: {words}")
    return kept


def _needs_consent(override: Override, own: bool) -> str | None:
    """Says why an override is not taken over unless the user types it; None if it is."""
    text = override.input_line or ""
    key = override.key_or_group
    if INTERPOLATION in text:
        return "is an interpolation, which is not taken from a record"
    if override.package is not None:
        return "names a package, which is not taken from a record"
    if key in _CODE:
        return "is not taken from a record: what is kept in that folder runs here"
    if key == "runtime.address" and text.partition("=")[2].strip("'\"") not in _OWN_RAY:
        return "is not taken from a record: whoever runs that cluster can run programs here"
    if not own and any(key == name or key.startswith(f"{name}.") for name in _PLACES):
        return "is not taken from a record of another user"
    return None


def _parsed(override: str, record: Path) -> Override:
    try:
        return OverridesParser.create().parse_override(override)
    except (HydraException, ValueError, RecursionError) as error:
        raise RunDirectoryError(
            f"{record}: {override[:80]!r} is not KEY=VALUE: {str(error).splitlines()[0][:200]}",
            "the file is damaged; start a new run",
        ) from None
