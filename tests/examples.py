"""How many examples Hypothesis tries: a quarter in the profile quick (`make test`), all in full (`make sure`)."""

from hypothesis import HealthCheck, settings

DEFAULT_EXAMPLES = 100

# Times depend on what else the machine does: a busy one fails no test.
TIMELESS = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

settings.register_profile("full", TIMELESS, max_examples=DEFAULT_EXAMPLES)
settings.register_profile("quick", TIMELESS, max_examples=DEFAULT_EXAMPLES // 4)


def count_examples(full: int) -> int:
    """For a test that names its number of examples: its share of `full` in the profile that was chosen."""
    return max(1, full * settings.default.max_examples // DEFAULT_EXAMPLES)
