"""Locust against the service, and against DistilBERT behind the same HTTP layer.

    make loadtest
    python -m loadtest.locust.runs [--processes 2] [--out runs/locust] [-- FLAGS OF locustfile.py]

Starts each server, warms it, loads it step by step, stops it. Three runs: the service at its own pace, then both at a
pace that DistilBERT can follow, which is the fair ratio. HTML and CSV go to ``--out``; the exit status is that of the
first run, which fails where errors or latencies go beyond its flags (``loadtest/locust/locustfile.py``).
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import uvloop

from cmow.service.model.bundle import TOKENIZER
from cmow.service.options.arguments import count
from cmow.service.options.defaults import BUNDLE
from loadtest.compare.making import make_models
from loadtest.compare.models import DISTILBERT, MODELS
from loadtest.compare.sides.remote import ROUTES
from loadtest.harness.client import Connection, post
from loadtest.harness.processes import Running, machine, serving

LOCUSTFILE = Path(__file__).with_name("locustfile.py")
SLOW_PACE = ("--step-users", "2", "--user-rate", "1")  # up to six requests a second
NO_LIMITS = ("--max-error-ratio", "1", "--max-p95-ms", "1e9", "--max-p99-ms", "1e9")
COLUMNS = {"Request Count": 10, "Failure Count": 10, "Requests/s": 12, "50%": 8, "95%": 8, "99%": 8}
TOTAL = "Aggregated"


@dataclass(frozen=True)
class Run:
    """One server under one load."""

    name: str
    module: str
    arguments: Sequence[str]
    flags: Sequence[str]


def runs(options: argparse.Namespace) -> list[Run]:
    """The service at its own pace, then both at DistilBERT's."""
    bundle = ["--bundle", str(options.bundle)]
    distilbert = [*bundle, "--models", str(options.models), "--threads", str(options.threads)]
    service = [*bundle, "--threads", str(options.threads)]
    slow = [*options.flags, *SLOW_PACE, *NO_LIMITS]
    return [
        Run("service", "cmow.service.serve.cli", service, options.flags),
        Run("service-slow-pace", "cmow.service.serve.cli", service, slow),
        Run("distilbert-int8-slow-pace", "loadtest.compare.sides.distilbert_server", distilbert, slow),
    ]


def load(run: Run, out: Path, processes: int) -> int:
    """Start, warm, load and stop one server; locust's exit status."""
    with serving(run.module, run.arguments) as server:
        uvloop.run(warm(server))
        where = ["--host", f"http://{server.host}:{server.port}", "--html", f"{out / run.name}.html"]
        how = ["--headless", "--only-summary", "--csv", str(out / run.name), "--processes", str(processes)]
        command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), *how, *where, *run.flags]
        with (out / f"{run.name}.log").open("w") as log:
            return subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False).returncode


async def warm(server: Running) -> None:
    """Both endpoints, single and in batches, before anybody counts; raises ``RuntimeError`` on an error."""
    connection = await Connection.open(server.host, server.port)
    for path, fields in ROUTES.items():
        for pairs in (1, 32) * 5:
            texts = [f"A man is eating food number {number}." for number in range(pairs)]
            reply = await connection.send(post(path, dict.fromkeys(fields, texts)))
            if reply.status != 200:
                raise RuntimeError(f"{path}: expected 200, got {reply.status}: {reply.body[:200]!r}")
    await connection.close()


def read_stats(path: Path) -> dict[str, dict[str, str]]:
    """Rows of locust's statistics by the name of the request."""
    with path.open(newline="") as file:
        return {row["Name"]: row for row in csv.DictReader(file)}


def print_stats(name: str, stats: dict[str, dict[str, str]]) -> None:
    """One run; milliseconds."""
    print(f"\n{name:28}" + "".join(f"{column:>{width}}" for column, width in COLUMNS.items()))
    for request, row in stats.items():
        print(f"  {request:26}" + "".join(f"{float(row[column]):{width},.0f}" for column, width in COLUMNS.items()))


def print_ratios(fast: dict[str, dict[str, str]], slow: dict[str, dict[str, str]]) -> None:
    """How many times longer the second takes; locust rounds to milliseconds, so means are compared."""
    print("\nDistilBERT int8 takes, in the mean and at the same pace:")
    for request in fast.keys() & slow.keys() - {TOTAL}:
        means = [float(stats[request]["Average Response Time"]) for stats in (slow, fast)]
        print(f"  {request:26}{means[0] / means[1]:8.1f} times as long ({means[0]:.1f} ms against {means[1]:.2f} ms)")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=count, default=1, help="locust workers; more than one needs as many cores")
    parser.add_argument("--threads", type=count, default=1, help="of each server's model")
    parser.add_argument("--out", type=Path, default=Path("runs/locust"))
    parser.add_argument("--bundle", type=Path, default=BUNDLE)
    parser.add_argument("--models", type=Path, default=MODELS, help="folder of DistilBERT, made if it is missing")
    parser.add_argument("--service-only", action="store_true", help="without DistilBERT")
    parser.add_argument("flags", nargs="*", help="after --, for locust")
    return parser.parse_args(arguments)


def main() -> None:
    """All runs; exits as the first."""
    options = parse()
    options.out.mkdir(parents=True, exist_ok=True)
    if not options.service_only:
        make_models(options.models, options.bundle / TOKENIZER, None, print, [DISTILBERT])
    print(machine())
    planned = runs(options)[: 1 if options.service_only else None]
    statuses, stats = [], []
    for run in planned:
        statuses.append(load(run, options.out, options.processes))
        stats.append(read_stats(options.out / f"{run.name}_stats.csv"))
        print_stats(run.name, stats[-1])
    if not options.service_only:
        print_ratios(*stats[1:])
    print(f"\nreports: {options.out}")
    if statuses[0]:
        log = (options.out / f"{planned[0].name}.log").read_text()
        print("\n".join(line for line in log.splitlines() if "failed:" in line))
    sys.exit(statuses[0])


if __name__ == "__main__":
    main()
