"""Users of ``/similarity`` and ``/entailment`` for locust.

    python -m locust -f loadtest/locust/locustfile.py --headless --host http://127.0.0.1:8000 [--processes 2]

Their number grows step by step. Each asks ``--user-rate`` times a second whether answers come fast or not, as long as
one comes in time: an open loop. The run fails, with exit status 1, beyond ``--max-error-ratio``, ``--max-p95-ms`` or
``--max-p99-ms``. Each of these flags is an environment variable too (``LOCUST_USER_RATE``, ...).

``make loadtest`` does all of it. Importing locust patches the process's sockets, so nothing else imports this module.
"""

from __future__ import annotations

import logging
import random
from pathlib import Path
from typing import Any

from locust import FastHttpUser, LoadTestShape, constant_throughput, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.runners import WorkerRunner

from export.bench.corpus import read_sentences
from loadtest.locust.limits import Limits, breaches

FLAGS = {
    "user-rate": (10.0, "requests a second of each user"),
    "steps": (3, "how many times users are added"),
    "step-users": (10, "users added in a step"),
    "step-seconds": (10, "length of a step"),
    "batch": (32, "pairs in a batch"),
    "max-error-ratio": (0.0, "most failed requests, as a share"),
    "max-p95-ms": (100.0, "most milliseconds at the 95th percentile"),
    "max-p99-ms": (250.0, "most milliseconds at the 99th percentile"),
}


def add_flags(parser: LocustArgumentParser, **_: Any) -> None:
    """Flags, and environment variables, of our own."""
    for name, (default, text) in FLAGS.items():
        variable = f"LOCUST_{name.upper().replace('-', '_')}"
        parser.add_argument(f"--{name}", type=type(default), default=default, env_var=variable, help=text)
    parser.add_argument("--text", default="tests/data/sentences.txt", env_var="LOCUST_TEXT", help="a sentence a line")


class Steps(LoadTestShape):
    """More users with every step."""

    def tick(self) -> tuple[int, float] | None:
        """Users now, and how many of them to start a second; ``None`` at the end."""
        assert self.runner is not None
        options = self.runner.environment.parsed_options
        assert options is not None
        seconds: float = self.get_run_time()  # type: ignore[no-untyped-call]
        step = int(seconds / options.step_seconds)
        if step >= options.steps:
            return None
        return (step + 1) * options.step_users, float(options.step_users)


class Scorer(FastHttpUser):
    """Somebody with pairs: six single similarities for three single entailments and a batch of either."""

    def on_start(self) -> None:
        """Take up the pace."""
        self._options = self.environment.parsed_options
        assert self._options is not None
        self._pace = constant_throughput(self._options.user_rate)
        self._sentences = read_sentences(Path(self._options.text))

    def wait_time(self) -> float:
        """Seconds to the next request."""
        return float(self._pace(self))

    @task(6)
    def similarity(self) -> None:
        """One pair."""
        self._ask("/similarity", ("sentence1", "sentence2"), "scores", 1)

    @task(3)
    def entailment(self) -> None:
        """One pair."""
        self._ask("/entailment", ("premise", "hypothesis"), "results", 1)

    @task(1)
    def batch(self) -> None:
        """Many pairs."""
        if random.random() < 0.5:
            self._ask("/similarity", ("sentence1", "sentence2"), "scores", self._options.batch)
        else:
            self._ask("/entailment", ("premise", "hypothesis"), "results", self._options.batch)

    def _ask(self, path: str, fields: tuple[str, str], answer: str, pairs: int) -> None:
        body = {field: random.choices(self._sentences, k=pairs) for field in fields}
        with self.client.post(path, json=body, catch_response=True, name=f"{path} {pairs}") as response:
            if response.status_code != 200:
                response.failure(f"status {response.status_code}")
            elif len(response.json()[answer]) != pairs:
                response.failure(f"expected {pairs} {answer}")


def judge(environment: Environment, **_: Any) -> None:
    """Decide the exit status."""
    if isinstance(environment.runner, WorkerRunner):
        return
    total, options = environment.stats.total, environment.parsed_options
    assert options is not None
    found = {
        "error_ratio": total.fail_ratio,
        "p95_ms": total.get_response_time_percentile(0.95),
        "p99_ms": total.get_response_time_percentile(0.99),
    }
    limits = Limits(options.max_error_ratio, options.max_p95_ms, options.max_p99_ms)
    faults = breaches(total.num_requests, found, limits)
    for fault in faults:
        logging.error("failed: %s", fault)
    environment.process_exit_code = int(bool(faults))


events.init_command_line_parser.add_listener(add_flags)  # type: ignore[no-untyped-call]
events.quitting.add_listener(judge)  # type: ignore[no-untyped-call]
