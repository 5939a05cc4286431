"""Benchmarks of throughput, latency and crash safety: `python -m bench` runs all, `python -m bench.webhooks` one."""
