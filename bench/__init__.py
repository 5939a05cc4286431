"""Measurements of what the tests only prove right: `python -m bench` runs all, `python -m bench.webhooks` one."""
