"""An address within the portal, as a page model names it: it is made a URL where the page is printed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import url_for


@dataclass(frozen=True)
class Link:
    """An endpoint with its values."""

    endpoint: str
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return url_for(self.endpoint, **self.values)


def link_to(endpoint: str, **values: Any) -> Link:
    return Link(endpoint, values)
