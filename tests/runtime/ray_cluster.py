"""A Ray cluster of several nodes on this machine, in a process of its own, for tests and benchmarks.

    RAY_TMPDIR=FOLDER python -m tests.runtime.ray_cluster

Prints the address of the head, which has no worker. Then takes a line of JSON at a time: {"add": ENVIRONMENT,
"agent_port": PORT} adds a node with one processor, {"kill": INDEX} kills a node with SIGKILL. Answers each with a line.
Ends with its stdin.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path

#: The port -1 keeps a node's agent from serving HTTP, as docs/cluster.md has it.
NODE = {"include_dashboard": False, "dashboard_agent_listen_port": -1, "object_store_memory": 100 * 2**20}
ROOT = Path(__file__).parents[2]


class Nodes:
    """The cluster, from outside.

    Attributes:
        address: Of the head.
        folder: Where its files are: below `ray`.
    """

    def __init__(self, process, folder):
        self._process = process
        self.folder = Path(folder)
        self._added = 0
        self.address = process.stdout.readline().strip()
        if not self.address:
            raise RuntimeError("the Ray cluster did not start")

    def add(self, *, agent_port=NODE["dashboard_agent_listen_port"], **environment):
        """Adds a node with one processor and environment variables of its own; returns its index.

        Args:
            agent_port: Where its agent serves HTTP; 0 for any port, -1 for none.
            environment: The variables.
        """
        self._ask({"add": environment, "agent_port": agent_port})
        self._added += 1
        return self._added - 1

    def kill(self, index):
        """Kills a node by its index."""
        self._ask({"kill": index})

    def processes(self):
        """Lists the cluster's processes: id and name."""
        found = subprocess.run(["ps", "-o", "pid=,args=", "-g", str(self._process.pid)], capture_output=True, text=True)
        return [(int(pid), name) for pid, name in (line.split(None, 1) for line in found.stdout.splitlines())]

    def _ask(self, question):
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"


@contextmanager
def running(nodes=0, **environment):
    """Runs a cluster while the block runs; nothing of it is left behind.

    Args:
        nodes: How many nodes it has at first.
        environment: Variables of all of its processes.
    """
    folder = tempfile.mkdtemp(prefix="fedcli-test-", dir="/tmp")
    # Ray's `Cluster` writes the address of the head below the default folder, whatever folder the head has.
    variables = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_TMPDIR": folder, "PYTHONPATH": str(ROOT), **environment}
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "tests.runtime.ray_cluster"],
        env={**os.environ, **variables},
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        cluster = Nodes(process, folder)
        for _ in range(nodes):
            cluster.add()
        yield cluster
    finally:
        with suppress(BrokenPipeError):  # it is gone
            process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        shutil.rmtree(folder, ignore_errors=True)


def main():
    from ray._private.services import write_node_ip_address
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={**NODE, "num_cpus": 0})
    nodes = []
    print(cluster.address, flush=True)
    for line in sys.stdin:
        match json.loads(line):
            case {"add": environment, "agent_port": agent_port}:
                address = f"127.0.0.{2 + len(nodes)}"
                keys = {**NODE, "dashboard_agent_listen_port": agent_port, "node_ip_address": address}
                nodes.append(cluster.add_node(**keys, num_cpus=1, env_vars=environment))
                # A driver joins by the Ray of its own machine: that is to be the head, which nobody kills.
                write_node_ip_address(cluster.head_node.get_session_dir_path(), cluster.head_node.node_ip_address)
            case {"kill": index}:
                with suppress(AssertionError):  # it is a zombie for a moment
                    cluster.remove_node(nodes[index], allow_graceful=False)
        print("done", flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    main()
