"""Strangers on this machine: what listens on it, and what others get who ask there without Ray's token."""

import ipaddress
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

#: Commands that run another as a stranger.
STRANGERS = {
    "another user": ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"],
    "another user namespace": ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork"],
}

_ASK = """
import http.client, json, sys
entrypoint, addresses = json.loads(sys.argv[1])
for host, port in addresses:
    connection = http.client.HTTPConnection(host, port, timeout=20)
    try:
        body = json.dumps({"entrypoint": entrypoint})
        connection.request("POST", "/api/job_agent/jobs/", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        print(json.dumps([port, answer.status, answer.read().decode(errors="replace")[:200]]))
    except TimeoutError:
        print(json.dumps([port, "accepted", "no answer yet"]))
    except (http.client.HTTPException, OSError) as error:
        print(json.dumps([port, "no HTTP", repr(error)]))
"""


def listening(mark):
    """Lists the addresses, of IP and port, at which processes listen whose environment holds a mark."""
    inodes = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() not in (folder / "environ").read_bytes():
                continue
            links = [os.readlink(link) for link in (folder / "fd").iterdir()]
        except OSError:
            continue
        inodes |= {link[8:-1] for link in links if link.startswith("socket:[")}
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and words[9] in inodes:
                address, port = words[1].split(":")
                found.append((_ip(address), int(port, 16)))
    return found


def _ip(text):
    """Reads an address as the kernel writes it: words of 4 bytes, each backwards."""
    data = bytes.fromhex(text)
    address = ipaddress.ip_address(b"".join(data[i : i + 4][::-1] for i in range(0, len(data), 4)))
    return str(getattr(address, "ipv4_mapped", None) or address)


def jobs_taken(stranger, addresses, entrypoint="true"):
    """Has a stranger submit a job at each address; returns the answers of those that took it.

    Skips the test where this machine does not let one become that stranger.
    """
    command = [*STRANGERS[stranger], sys.executable, "-I", "-S"]
    try:
        may = subprocess.run([*command, "-c", ""], capture_output=True, text=True, env={}, cwd="/")
    except OSError as error:
        pytest.skip(f"{command[0]}: {error}")
    if may.returncode:
        pytest.skip(f"nobody may become {stranger} here: {may.stderr.strip()}")
    asked = subprocess.run(
        [*command, "-c", _ASK, json.dumps([entrypoint, addresses])],
        capture_output=True,
        text=True,
        env={},
        cwd="/",
        timeout=500,
    )
    assert asked.returncode == 0, asked.stderr
    answers = [json.loads(line) for line in asked.stdout.splitlines()]
    assert len(answers) == len(addresses)
    # A server of metrics answers whatever it is asked with metrics.
    refusals = ("no HTTP", 401, 403, 404, 405, 501)
    return [answer for answer in answers if answer[1] not in refusals and "# HELP" not in answer[2]]
