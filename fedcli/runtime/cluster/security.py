"""Says when a cluster lets in whoever reaches it."""

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
    """

    token: bool
    tls: bool


def warning(nodes: Iterable[Mapping[str, Any]], secured: Sequence[Secured]) -> str | None:
    """Returns a warning for a cluster that other machines reach and that lacks a protection; None for others.

    Args:
        nodes: What `ray.nodes()` returns.
        secured: How the nodes protect themselves.
    """
    addresses = [node["NodeManagerAddress"] for node in nodes if node["Alive"]]
    if all(_is_loopback(address) for address in addresses):
        return None
    missing = []
    if not all(node.token for node in secured):
        missing.append("token authentication (whoever reaches it can run programs on it)")
    if not all(node.tls for node in secured):
        missing.append("TLS (whoever sees its traffic can read and change it)")
    if not missing:
        return None
    return (
        f"the Ray cluster is reachable from other machines and has no {' and no '.join(missing)}: see docs/cluster.md"
    )


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:  # a name
        return address == "localhost"
