"""``schemathesis`` against the running service: does it keep what its OpenAPI document says?

    python -m loadtest.conformance --examples 2000

Runs all checks on ``--examples`` cases for each operation and phase, and exits as schemathesis does.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from loadtest.processes import serving

CONFIG = Path(__file__).parent / "schemathesis.toml"


def main() -> None:
    """Run it against a server of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with serving("service.cli", ["--log-level", "info"]) as server:
        url = f"http://{server.host}:{server.port}/openapi.json"
        how = ["--checks", "all", "--max-examples", str(options.examples), "--seed", str(options.seed)]
        command = ["--config-file", str(CONFIG), "run", url, *how, "--continue-on-failure"]
        sys.exit(subprocess.run([sys.executable, "-m", "schemathesis.cli", *command], check=False).returncode)


if __name__ == "__main__":
    main()
