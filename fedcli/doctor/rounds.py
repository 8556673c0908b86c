"""One tiny federated round on each runtime, and whether they agree."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from fedcli.doctor.check import Check
from fedcli.doctor.child import Child, Ended

#: Two writers of the digits train a network of some thousand parameters: no data has to be fetched.
_OVERRIDES = (
    "dataset=digits",
    "model=mlp",
    "model.hidden_units=[8]",
    "rounds=1",
    "clients_per_round=2",
    "seed=0",
    "eval.max_examples=64",
)
_RUNTIMES = ("local", "tff")
_COMPARED = ("train/loss", "eval/loss")
#: Both compute in float32, in another order.
_TOLERANCE = 1e-4

_ADVICE = {
    "local": "see the traceback: fedcli train --debug model=mlp rounds=1",
    "tff": "runtime=local works without TFF's worker; for the traceback: "
    "fedcli train --debug model=mlp rounds=1 runtime=tff",
}


def check_rounds() -> Iterator[Check]:
    """Runs `fedcli train` for one round on each runtime, at the same time, and compares the results."""
    results: dict[str, dict[str, Any]] = {}
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="fedcli-doctor-"))
        children = {
            runtime: stack.enter_context(
                Child("-m", "fedcli", "train", "--json", *_OVERRIDES, f"runtime={runtime}", f"output_dir='{folder}'")
            )
            for runtime in _RUNTIMES
        }
        for runtime, child in children.items():
            ended = child.wait()
            document = _document(ended)
            if ended.code == 0 and "final" in document:
                results[runtime] = document["final"]
                loss = results[runtime].get("eval/loss", math.nan)
                yield Check(f"runtime={runtime}", "passed", f"one round of 2 clients, held-out loss {loss:.4f}")
            else:
                error = document.get("error") or {}
                message = str(error.get("message") or ended.reason()).splitlines()[0]
                hint = str(error.get("hint") or "")
                # The run of this check, its log too, is about to be removed.
                advice = _ADVICE[runtime] if not hint or folder in hint or "run.log" in hint else hint
                yield Check(f"runtime={runtime}", "failed", f"one round: {message}", advice)
    if len(results) == len(_RUNTIMES):
        yield _agreement(results)


def _agreement(results: dict[str, dict[str, Any]]) -> Check:
    local, tff = (results[runtime] for runtime in _RUNTIMES)
    for name in _COMPARED:
        a, b = local.get(name), tff.get(name)
        if a is None or b is None or not math.isclose(a, b, rel_tol=_TOLERANCE):
            return Check(
                "agreement",
                "failed",
                f"{name} after one round is {a} by runtime=local, {b} by runtime=tff",
                "trust neither: reinstall fedcli with its dependencies, and report it if that does not help",
            )
    return Check("agreement", "passed", f"runtime=local and runtime=tff agree to {_TOLERANCE:g} in loss")


def _document(ended: Ended) -> dict[str, Any]:
    try:
        document = json.loads(ended.stdout)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
