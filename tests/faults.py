"""What is to go wrong at the pretend Zoom, told over its control plane."""

from typing import Any

import requests


class Faults:
    """What is to go wrong at the pretend Zoom, told over its control plane."""

    def __init__(self, url: str) -> None:
        self._url = url

    def add(self, method: str, path: str, kind: str, **details: Any) -> None:
        self._post("faults", {"method": method, "path": path, "kind": kind, **details})

    def refuse(self, method: str, path: str, status: int, code: int, message: str = "", **details: Any) -> None:
        body = {"code": code, "message": message}
        self.add(method, path, "answer", status=status, json=body, **details)

    def latency(self, ms: int) -> None:
        self._post("latency", {"ms": ms})

    def heal(self) -> None:
        requests.delete(f"{self._url}/_sim/faults", timeout=5).raise_for_status()

    def _post(self, what: str, body: dict[str, Any]) -> None:
        requests.post(f"{self._url}/_sim/{what}", json=body, timeout=5).raise_for_status()
