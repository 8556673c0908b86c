"""Whether TFF's worker can have a network of its own."""

from __future__ import annotations

from fedcli.doctor.check import Check


def check_isolation() -> Check:
    """Tries in a child process what `worker_sandbox` does for the worker of `runtime=tff`."""
    from fedcli.runtime.engine.worker_sandbox import why_not_isolated

    refusal = why_not_isolated()
    if not refusal:
        return Check("isolation", "passed", "runtime=tff: TFF's worker runs in a network namespace of its own")
    return Check(
        "isolation",
        "warning",
        f"runtime=tff: no network namespace for TFF's worker ({refusal}); it listens on all interfaces",
        "on a machine that others can reach use runtime=local, or permit user namespaces (unshare)",
    )
