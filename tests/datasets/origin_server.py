"""An origin on loopback whose answers a test decides, and small databases for it to serve."""

import lzma
import re
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Origin:
    """Serves one body at every path.

    Attributes:
        body: What it serves.
        etag: The strong ETag that it gives; empty for none.
        ranges: Whether it answers Range with a part.
        length: Whether it announces the length.
        faults: What the next answers are instead: a status, or how many bytes are sent before the connection
            breaks.
        requests: (path, Range header) of each request so far.
        before_answer: Called before each answer.
    """

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.etag = '"v1"'
        self.ranges = True
        self.length = True
        self.faults: list[tuple[str, int]] = []
        self.requests: list[tuple[str, str | None]] = []
        self.before_answer: Callable[[], None] = lambda: None
        self.url = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        wanted = handler.headers.get("Range")
        self.requests.append((handler.path, wanted))
        self.before_answer()
        kind, value = self.faults.pop(0) if self.faults else ("", 0)
        if kind == "status":
            handler.send_response(value)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        body, total = self.body, len(self.body)
        same = handler.headers.get("If-Range") in (None, self.etag)
        start = int(re.fullmatch(r"bytes=(\d+)-", wanted).group(1)) if wanted and self.ranges and same else 0
        if start >= total > 0:
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{total}")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        if self.etag:
            handler.send_header("ETag", self.etag)
        if self.length:
            handler.send_header("Content-Length", str(total - start))
        handler.end_headers()
        handler.wfile.write(body[start : value if kind == "cut" else total])


@contextmanager
def serve(body: bytes) -> Iterator[Origin]:
    origin = Origin(body)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            origin.answer(self)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        origin.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield origin
        finally:
            server.shutdown()
            thread.join()


def write_database(
    path: Path,
    splits: tuple[str, ...] = ("train", "test"),
    clients: int = 3,
    blob: Callable[[int], bytes] = lambda i: bytes([i % 251]) * 40,
    index: bool = False,
) -> Path:
    """Writes a database in TFF's form: client `c<k>` has k + 1 examples in every split."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "CREATE TABLE examples (split_name TEXT NOT NULL, client_id TEXT NOT NULL,"
            " serialized_example_proto BLOB NOT NULL)"
        )
        connection.execute(
            "CREATE TABLE client_metadata (client_id TEXT NOT NULL, split_name TEXT NOT NULL,"
            " num_examples INTEGER NOT NULL)"
        )
        for split in splits:
            for k in range(clients):
                connection.execute("INSERT INTO client_metadata VALUES (?, ?, ?)", (f"c{k}", split, k + 1))
                rows = [(split, f"c{k}", blob(10 * k + i)) for i in range(k + 1)]
                connection.executemany("INSERT INTO examples VALUES (?, ?, ?)", rows)
        if index:
            connection.execute("CREATE INDEX idx_examples ON examples (split_name, client_id)")
        connection.commit()
    return path


def packed(path: Path) -> bytes:
    """Returns a file as a legacy .lzma archive."""
    return lzma.compress(path.read_bytes(), format=lzma.FORMAT_ALONE)
