"""`python -m bench`: all benchmarks in sequence, each in a process of its own. `make bench` runs it."""

import subprocess
import sys

# Name and arguments; alone they can run longer, see python -m bench.<name> --help.
MEASUREMENTS = (
    ("webhooks",),
    ("registration",),
    ("tokens",),
    ("sign_in",),
    ("reports",),
    ("pages", "--only", "bytes"),
    ("writer_hold",),
    ("registration_kills", "--every", "5"),
    ("kill", "--rounds", "10"),
)


def main() -> int:
    """Run all; returns 1 if one failed."""
    failed = []
    for name, *arguments in MEASUREMENTS:
        print(f"\n== {name} ==", flush=True)
        if subprocess.run([sys.executable, "-m", f"bench.{name}", *arguments], check=False).returncode:
            failed.append(name)
    if failed:
        print(f"\nFailed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
