"""``schemathesis`` against the running service: does it keep what its OpenAPI document says?

    python -m loadtest.endurance.conformance --examples 2000

Runs all checks on ``--examples`` cases for each operation and phase, and exits as schemathesis does.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from cmow.service.options.arguments import count
from loadtest.harness.processes import serving

CONFIG = Path(__file__).parent / "schemathesis.toml"


def main() -> None:
    """Run it against a server of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=count, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with serving("cmow.service.serve.cli", ["--log-level", "info"]) as server:
        sys.exit(check(f"http://{server.host}:{server.port}", options.examples, options.seed))


def check(url: str, examples: int, seed: int) -> int:
    """Run it against the service at ``url``; 0 where that keeps its word, or else the status of schemathesis."""
    how = ["--checks", "all", "--max-examples", str(examples), "--seed", str(seed), "--continue-on-failure"]
    command = ["--config-file", str(CONFIG), "run", f"{url}/openapi.json", *how]
    return subprocess.run([sys.executable, "-m", "schemathesis.cli", *command], check=False).returncode


if __name__ == "__main__":
    main()
