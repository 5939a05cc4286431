"""How often one place may ask. `limiter` counts in memory, or in Redis where several processes share REDIS_URL."""

from flask_limiter import Limiter
from flask_limiter.util import get_remote_address

limiter = Limiter(key_func=get_remote_address, default_limits=[], swallow_errors=True, headers_enabled=False)

# Guessing a secret link: only misses count, so that a school behind one address opens as many good ones as it likes.
MISSES = "60 per 10 minutes"


def is_miss(response: object) -> bool:
    """For `deduct_when`: the link was not known, or is not good any more."""
    return getattr(response, "status_code", 200) in (404, 410)
