"""The process between fedcli and TFF's worker: it starts the worker, guards it and ends it.

Run by `worker.py` as `python -I -S worker_sandbox.py PARENT_PID isolate|share DIRECTORY BINARY [FLAG]...`,
with the standard library alone, so that it is up in a few hundredths of a second. It

1. ends, and the worker with it, as soon as its parent is gone, however that ended;
2. with `isolate`, moves into a new user and network namespace, where nobody else can reach the worker's TCP
   port. The worker listens on every interface, authenticates nobody and runs any graph that it is sent;
3. starts the worker and, once that accepts connections, forwards DIRECTORY/socket to it. Only its user can
   open that socket.

It reports on stdout, one line each, in this order:

    isolated                  or: shared REASON
    started WORKER_PID PORT
    ready
    ended HOW                 the worker ended without having been asked to

stderr, the worker's stdout and the worker's stderr are the log.
"""

import contextlib
import ctypes
import fcntl
import os
import shutil
import signal
import socket
import struct
import sys
import threading
import time

_PR_SET_PDEATHSIG = 1
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 0x1

# Taken one after another by the main thread, never by a handler: nothing can be interrupted half way.
_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD}

_POLL_SECONDS = 0.005
_GRACE_SECONDS = 2.0
_BUFFER_BYTES = 1 << 20

_libc = ctypes.CDLL(None, use_errno=True)


def main(parent_pid: int, isolate: bool, directory: str, command: list[str]) -> None:
    """Runs the worker until it ends, or until fedcli wants it to end or is gone."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    die_with(parent_pid, signal.SIGTERM)
    refusal = why_not_isolated() if isolate else "isolation is switched off"
    if refusal:
        say(f"shared {refusal}")
    else:
        enter_private_network()
        # The kernel may forget the death signal when a process changes its credentials, as it just did.
        die_with(parent_pid, signal.SIGTERM)
        say("isolated")
    os.mkdir(directory, 0o700)
    try:
        guard(f"{directory}/socket", command)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def say(line: str) -> None:
    """Reports a line to fedcli, which may be gone."""
    with contextlib.suppress(OSError):
        os.write(1, f"{line}\n".encode())


def die_with(parent_pid: int, signum: int) -> None:
    """Has the kernel send this process a signal when its parent ends, SIGKILL included."""
    if _libc.prctl(_PR_SET_PDEATHSIG, signum, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    # A parent that ended before the call above sends nothing any more.
    if os.getppid() != parent_pid:
        os._exit(1)


def why_not_isolated() -> str:
    """Tries the namespaces in a child, because there is no way back out of one; empty when they work."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            enter_private_network()
        except OSError as error:
            os.write(writer, (error.strerror or str(error)).encode())
            os._exit(1)
        os._exit(0)
    os.close(writer)
    with open(reader, encoding="utf-8") as pipe:
        reason = pipe.read()
    _, status = os.waitpid(child, 0)
    return "" if status == 0 else reason or "the attempt ended unexpectedly"


def enter_private_network() -> None:
    """Moves this process into a network of its own, which holds nothing but loopback.

    The user namespace is what permits this without root. The user and group keep their ids in it.
    """
    uid, gid = os.geteuid(), os.getegid()
    if _libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET):
        error = ctypes.get_errno()
        raise OSError(error, f"unshare: {os.strerror(error)}")
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", _IFF_UP))


def guard(socket_path: str, command: list[str]) -> None:
    """Starts the worker, opens the way to it, and waits for its end or for a signal to end it."""
    with reserve_port() as reservation:
        port = reservation.getsockname()[1]
        worker = start_worker([command[0], f"--port={port}", *command[1:]])
        say(f"started {worker} {port}")
        ready = False
        while True:
            if not ready and accepts(port):
                threading.Thread(target=forward, args=(listen(socket_path), port), daemon=True).start()
                say("ready")
                ready = True
            taken = signal.sigwaitinfo(_SIGNALS) if ready else signal.sigtimedwait(_SIGNALS, _POLL_SECONDS)
            if taken is None:
                continue
            if taken.si_signo != signal.SIGCHLD:
                end_worker(worker)
                return
            pid, status = os.waitpid(worker, os.WNOHANG)
            if pid:
                say(f"ended {describe(status)}")
                return


def reserve_port() -> socket.socket:
    """Returns a socket that keeps a free port for the worker for as long as the socket is open.

    gRPC sets SO_REUSEPORT: a second worker of the same user on the same port is not refused, it takes half of
    the first one's connections. This socket shares the port with the worker but never listens, so it gets
    none, and the kernel gives its port to nobody else who asks for a free one.
    """
    for family, address in ((socket.AF_INET6, "::"), (socket.AF_INET, "")):
        with contextlib.suppress(OSError):
            reservation = socket.socket(family, socket.SOCK_STREAM)
            if family == socket.AF_INET6:
                reservation.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            reservation.bind((address, 0))
            return reservation
    raise OSError("no TCP port is free")


def start_worker(command: list[str]) -> int:
    """Starts the worker, which the kernel kills when this process ends; returns its process id."""
    guardian = os.getpid()
    child = os.fork()
    if child:
        return child
    try:
        die_with(guardian, signal.SIGKILL)
        os.dup2(2, 1)
        # Both outlive exec: what is blocked here, and the signals that Python ignores.
        for signum in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(signum, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        os.execv(command[0], command)
    except OSError as error:
        os.write(2, f"fedcli: {command[0]} cannot be run: {error}\n".encode())
    finally:
        os._exit(127)


def end_worker(worker: int) -> None:
    """Ends the worker and waits until it is gone: SIGTERM, and SIGKILL if that does not help soon."""
    os.kill(worker, signal.SIGTERM)
    deadline = time.monotonic() + _GRACE_SECONDS
    while (left := deadline - time.monotonic()) > 0:
        if os.waitpid(worker, os.WNOHANG)[0]:
            return
        signal.sigtimedwait({signal.SIGCHLD}, left)
    os.kill(worker, signal.SIGKILL)
    os.waitpid(worker, 0)


def describe(status: int) -> str:
    """Says how a process ended."""
    code = os.waitstatus_to_exitcode(status)
    return f"with exit status {code}" if code >= 0 else f"by {signal.Signals(-code).name}"


def accepts(port: int) -> bool:
    """Whether somebody listens on the port."""
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    return False


def listen(path: str) -> socket.socket:
    """Opens the unix socket, to which the permission to write is the permission to connect."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    os.umask(0o177)
    listener.bind(path)
    listener.listen()
    return listener


def forward(listener: socket.socket, port: int) -> None:
    """Carries every connection to the unix socket on to the worker."""
    while True:
        near, _ = listener.accept()
        try:
            far = socket.create_connection(("127.0.0.1", port))
        except OSError:
            near.close()
            continue
        far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for source, sink in ((near, far), (far, near)):
            threading.Thread(target=carry, args=(source, sink), daemon=True).start()


def carry(source: socket.socket, sink: socket.socket) -> None:
    """Copies one direction of a connection until either side closes it, then closes both."""
    buffer = memoryview(bytearray(_BUFFER_BYTES))
    with contextlib.suppress(OSError):
        while count := source.recv_into(buffer):
            sink.sendall(buffer[:count])
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2] == "isolate", sys.argv[3], sys.argv[4:])
