"""A cheap load generator: one thread, many connections, each sending its next request when the previous is answered."""

import selectors
import socket
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field


@dataclass
class Measured:
    """Results: statuses, and response times in seconds."""

    seconds: float = 0.0
    statuses: dict[int, int] = field(default_factory=dict)
    times: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Responses per second."""
        return len(self.times) / self.seconds if self.seconds else 0.0

    def add(self, other: "Measured") -> None:
        """Merge another measurement."""
        self.times += other.times
        self.seconds += other.seconds
        for status, count in other.statuses.items():
            self.statuses[status] = self.statuses.get(status, 0) + count

    def at(self, share: float) -> float:
        """The percentile of the response times, in milliseconds; `share` is 0 to 1."""
        ordered = sorted(self.times)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000 if ordered else 0.0

    def line(self) -> str:
        return (
            f"{self.rate:7.0f}/s   p50 {self.at(0.5):6.1f}   p99 {self.at(0.99):6.1f}   "
            f"max {self.at(1.0):6.1f} ms   {self.statuses}"
        )


@dataclass
class _Connection:
    port: int
    sock: socket.socket | None = None
    answer: bytes = b""
    sent_at: float = 0.0

    def open(self, selector: selectors.BaseSelector) -> socket.socket:
        if self.sock is None:
            self.sock = socket.create_connection(("127.0.0.1", self.port), timeout=30)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(self.sock, selectors.EVENT_READ, self)
        return self.sock

    def close(self, selector: selectors.BaseSelector) -> None:
        if self.sock is not None:
            selector.unregister(self.sock)
            self.sock.close()
        self.sock = None


def send_all(port: int, requests: Iterable[bytes], *, connections: int = 32) -> Measured:
    """Send all requests (complete HTTP/1.1 bytes), `connections` at a time, and measure the responses."""
    queue = iter(requests)
    measured = Measured()
    started_at = time.perf_counter()
    with selectors.DefaultSelector() as selector:
        open_count = 0
        for _ in range(connections):
            request = next(queue, None)
            if request is None:
                break
            _send(selector, _Connection(port), request)
            open_count += 1
        while open_count:
            for key, _ in selector.select(timeout=30):
                open_count -= _read(selector, key.data, queue, measured)
    measured.seconds = time.perf_counter() - started_at
    return measured


def _send(selector: selectors.BaseSelector, connection: _Connection, request: bytes) -> None:
    connection.answer, connection.sent_at = b"", time.perf_counter()
    connection.open(selector).sendall(request)


def _read(selector: selectors.BaseSelector, connection: _Connection, queue: Iterator[bytes], measured: Measured) -> int:
    """Process received bytes of one connection; 1 if it is finished, else 0."""
    received = connection.sock.recv(65536) if connection.sock else b""
    connection.answer += received
    if received and not _is_complete(connection.answer):
        return 0
    status = int(connection.answer[9:12] or b"0")  # 0: connection closed without a response
    measured.times.append(time.perf_counter() - connection.sent_at)
    measured.statuses[status] = measured.statuses.get(status, 0) + 1
    if not received or b"\r\nconnection: close\r\n" in connection.answer.lower():
        connection.close(selector)
    request = next(queue, None)
    if request is None:
        connection.close(selector)
        return 1
    _send(selector, connection, request)
    return 0


def _is_complete(answer: bytes) -> bool:
    head, separator, body = answer.partition(b"\r\n\r\n")
    if not separator:
        return False
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return len(body) >= int(value)
    return head[9:12] in (b"204", b"304")
