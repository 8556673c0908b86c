"""Says when a cluster lets in others than its user."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Secured:
    """How Ray on a node protects itself.

    Attributes:
        token: Whether it asks for a token.
        tls: Whether connections are encrypted, and both ends have certificates.
        open_agent: Address at which the node's agent takes HTTP requests without the token; empty for none.
    """

    token: bool
    tls: bool
    open_agent: str = ""


def warning(nodes: Iterable[Mapping[str, Any]], secured: Sequence[Secured]) -> str | None:
    """Returns a warning for a cluster that lets in others, from other machines or of the same one; None for others.

    Args:
        nodes: What `ray.nodes()` returns.
        secured: How the nodes protect themselves.
    """
    problems = []
    addresses = [node["NodeManagerAddress"] for node in nodes if node["Alive"]]
    missing = []
    if not all(node.token for node in secured):
        missing.append("token authentication (whoever reaches it can run programs on it)")
    if not all(node.tls for node in secured):
        missing.append("TLS (whoever sees its traffic can read and change it)")
    if missing and not all(_is_loopback(address) for address in addresses):
        problems.append(f"is reachable from other machines and has no {' and no '.join(missing)}")
    # Without a token, the agent is no worse than the rest.
    agents = sorted({node.open_agent for node in secured if node.token and node.open_agent})
    if agents:
        problems.append(
            f"has agents that take jobs without the token, from other users of a node too ({', '.join(agents)}; "
            "start Ray with --dashboard-agent-listen-port=-1)"
        )
    return f"the Ray cluster {', and '.join(problems)}: see docs/cluster.md" if problems else None


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:  # a name
        return address == "localhost"
