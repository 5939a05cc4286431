"""A load generator that costs little: one thread, many connections, each sending as soon as it is answered."""

import selectors
import socket
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field


@dataclass
class Measured:
    """What came back: statuses, and how long each answer took (seconds)."""

    seconds: float = 0.0
    statuses: dict[int, int] = field(default_factory=dict)
    times: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.times) / self.seconds if self.seconds else 0.0

    def add(self, other: "Measured") -> None:
        """Take in what was measured beside."""
        self.times += other.times
        self.seconds += other.seconds
        for status, count in other.statuses.items():
            self.statuses[status] = self.statuses.get(status, 0) + count

    def at(self, share: float) -> float:
        """The time in milliseconds within which this share of the answers came."""
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
    """Send every request (complete HTTP/1.1 bytes), `connections` at a time, and measure the answers."""
    waiting = iter(requests)
    measured = Measured()
    begun = time.perf_counter()
    with selectors.DefaultSelector() as selector:
        open_ones = 0
        for _ in range(connections):
            request = next(waiting, None)
            if request is None:
                break
            _send(selector, _Connection(port), request)
            open_ones += 1
        while open_ones:
            for key, _ in selector.select(timeout=30):
                open_ones -= _read(selector, key.data, waiting, measured)
    measured.seconds = time.perf_counter() - begun
    return measured


def _send(selector: selectors.BaseSelector, one: _Connection, request: bytes) -> None:
    one.answer, one.sent_at = b"", time.perf_counter()
    one.open(selector).sendall(request)


def _read(selector: selectors.BaseSelector, one: _Connection, waiting: Iterator[bytes], measured: Measured) -> int:
    """Take what came on one connection; 1 if it has nothing more to send, else 0."""
    received = one.sock.recv(65536) if one.sock else b""
    one.answer += received
    if received and not _is_complete(one.answer):
        return 0
    status = int(one.answer[9:12] or b"0")  # 0: cut off without an answer
    measured.times.append(time.perf_counter() - one.sent_at)
    measured.statuses[status] = measured.statuses.get(status, 0) + 1
    if not received or b"\r\nconnection: close\r\n" in one.answer.lower():
        one.close(selector)
    request = next(waiting, None)
    if request is None:
        one.close(selector)
        return 1
    _send(selector, one, request)
    return 0


def _is_complete(answer: bytes) -> bool:
    head, found, body = answer.partition(b"\r\n\r\n")
    if not found:
        return False
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return len(body) >= int(value)
    return head[9:12] in (b"204", b"304")
