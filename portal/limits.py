"""How often one place may ask. `limiter` counts in memory, or in Redis where several processes share REDIS_URL."""

from flask import request
from flask_limiter import Limiter

from portal.base.places import network_of


def _place() -> str:
    return network_of(request.remote_addr)


limiter = Limiter(key_func=_place, default_limits=[], swallow_errors=True, headers_enabled=False)

# Guessing a secret link: only misses count, so that a school behind one address opens as many good ones as it likes.
# The learners' doors let good ones in after too many misses too: a whole mobile network may have one address.
MISSES = "60 per 10 minutes"


def is_miss(response: object) -> bool:
    """For `deduct_when`: the link was not known, or is not good any more."""
    return getattr(response, "status_code", 200) in (404, 410)
