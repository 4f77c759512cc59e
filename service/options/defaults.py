"""How the model is opened and what a text may be: the options that the service, ``cmow-score`` and ``cmow.load`` share.

Plain Python, so that a command prints its help before anything heavy is imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Provider = Literal["auto", "cpu", "cuda"]

BUNDLE = Path(__file__).parents[1] / "bundle"  # the model that comes with the package
MOST_THREADS = 1024  # a slip of the keyboard must not take the machine down
MAX_TEXT_CHARS = 100_000
GPU_MIN_TOKENS = 512
ENV_PREFIX = "CMOW_"


@dataclass(frozen=True)
class Option:
    """A setting as a flag and as environment variables."""

    name: str
    default: object
    help: str
    variables: tuple[str, ...] = ()

    @property
    def environment(self) -> tuple[str, ...]:
        """The environment variables that set it."""
        return self.variables or (ENV_PREFIX + self.name.upper(),)


MODEL_OPTIONS = {
    option.name: option
    for option in (
        Option("bundle", BUNDLE, "folder of the model"),
        Option("verify_hashes", True, "compare the bundle's files with their digests"),
        Option("threads", 0, "threads for the model; 0 takes what CPU affinity and quota grant"),
        Option("require_fused_op", False, "refuse to start without the native kernel"),
        Option("provider", "auto", "cpu, cuda (refuse to start without a working GPU) or auto (a GPU where one works)"),
        Option("gpu_min_tokens", GPU_MIN_TOKENS, "least tokens of a run for the GPU; smaller runs go to the CPU"),
        Option("max_text_chars", MAX_TEXT_CHARS, "most characters in a sentence"),
    )
}
