"""Safe redirect targets after signing in: paths of this portal only (no open redirect)."""

import re
from urllib.parse import urlsplit

# Plain path characters only: browsers read a backslash as a slash and drop tabs and newlines, so that
# "/\t/evil.example" would leave the portal. Percent escapes of those are refused as well.
_SAFE = re.compile(r"/(?:[A-Za-z0-9_.~-]|%(?!2[fF]|5[cC]|0[0-9a-fA-F]|[89a-fA-F])[0-9a-fA-F]{2}|[/?=&,:+-])*")


def safe_next_url(target: str | None, default: str) -> str:
    """`target` if it is a path of this portal, else `default`."""
    if not target or len(target) > 1000 or not _SAFE.fullmatch(target):
        return default
    parts = urlsplit(target)
    path = target.partition("?")[0]  # not the parsed path: "///host" parses into an empty host and a clean "/host"
    if parts.scheme or parts.netloc or "//" in path or ".." in path or "@" in target:
        return default
    return target
