"""What each change brings: one short fine-tuning after the other, each with one change more than the one before.

    python -m training.studies.ablate --data DIR [--steps 600] [--out runs/ablations]

All start from the same distilled student, with the same seed and number of steps. Prints a Markdown table of dev scores
and costs; what has run already is not run again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch

from cmow.service.text.tokenizer import Tokenizer
from training.data.files import split_files
from training.data.labelled import read_labelled
from training.errors import one_line_errors
from training.finetune import FinetuneConfig, finetune
from training.loop.run import once, recorded
from training.options import parse_options
from training.pairs.pairset import PairSet, outputs
from training.student.model import Student, StudentConfig, load_student
from training.studies.figures import read_curves

LADDER: dict[str, dict[str, Any]] = {
    "the paper's head, gold pairs": {
        "gold_only": True,
        "hidden_dim": 1000,
        "standardise": False,
        "product": False,
        "compare_dim": 0,
    },
    "+ standardised embeddings": {"standardise": True},
    "+ product of the two embeddings": {"product": True},
    "+ 512 hidden units, not 1000": {"hidden_dim": 512},
    "+ alignment": {"compare_dim": 64},
    "+ pair teacher and mined pairs": {"gold_only": False},
    "+ more scored pairs": {"scored_batch": 96},
    "+ long documents": {"documents": 4},
}
SCORES = {
    "stsb_spearman": "STS-B",
    "sick_spearman": "SICK-R",
    "snli_accuracy": "SNLI",
    "mnli_accuracy": "MNLI",
    "sick_accuracy": "SICK-E",
    "rte_accuracy": "RTE",
    "qqp_average_precision": "QQP AP",
}


@dataclass(frozen=True)
class AblateConfig:
    """One ladder of ablations."""

    data: Path = field(metadata={"help": "data folder with nli/, similarity/ and paraphrase/"})
    student: Path = field(default=Path("runs/distill"), metadata={"help": "folder of the distilled student"})
    teacher_cache: Path = field(default=Path("runs/teacher"), metadata={"help": "folder made by training.teacher"})
    pair_labels: Path = field(default=Path("runs/pair_labels"), metadata={"help": "made by training.pair_labels"})
    out: Path = field(default=Path("runs/ablations"), metadata={"help": "folder of the runs"})
    steps: int = field(default=600, metadata={"help": "steps of each run"})
    seed: int = field(default=0, metadata={"help": "seed of each run"})


def ladder(config: AblateConfig) -> dict[str, FinetuneConfig]:
    """The run of every rung, by the change that it adds."""
    rung = FinetuneConfig(
        data=config.data,
        student=config.student,
        teacher_cache=config.teacher_cache,
        pair_labels=config.pair_labels,
        max_steps=config.steps,
        epochs=1000,  # the steps end the run
        checkpoint_steps=config.steps,
        seed=config.seed,
    )
    runs: dict[str, FinetuneConfig] = {}
    for place, (name, change) in enumerate(LADDER.items()):
        rung = replace(rung, out=config.out / str(place), **change)
        runs[name] = rung
    return runs


def token_flops(config: StudentConfig) -> int:
    """Floating-point operations for a token: two matrix products, a sum, and the alignment but for its attention."""
    encoder = 2 * 2 * config.matrix_dim**3 + config.vector_dim
    if not config.compare_dim:
        return encoder
    k = config.value_dim
    return encoder + 2 * k * (config.vector_dim + 3 * k + config.key_dim + 4 * config.compare_dim)


def pair_flops(config: StudentConfig) -> int:
    """Floating-point operations of the entailment head for a pair."""
    features = (4 if config.product else 3) * config.embedding_dim + 4 * config.compare_dim
    return 2 * config.hidden_dim * (features + 3)


@torch.no_grad()
def pairs_per_second(student: Student, pairs: PairSet, rounds: int = 5) -> float:
    """Pairs of tokenised sentences that all heads judge in a second, in torch: the median of ``rounds``."""
    seconds = []
    for _ in range(rounds):
        start = perf_counter()
        outputs(student, pairs)
        seconds.append(perf_counter() - start)
    return len(pairs) / median(seconds)


def row(config: FinetuneConfig, name: str) -> str:
    """The table's line for a run that has ended."""
    curves = read_curves(config.out / "metrics.jsonl")
    student = load_student(config.out).eval()
    timed = split_files(config.data, "dev", ("nli",))[0]
    pairs = PairSet.of(read_labelled(timed, "entailment"), Tokenizer(config.out / "tokenizer.json", config.max_tokens))
    cells = [f"{100 * curves[measure][-1][1]:.1f}" if measure in curves else "" for measure in SCORES]
    flops = [f"{count / 1000:,.0f} k" for count in (token_flops(student.config), pair_flops(student.config))]
    return "| " + " | ".join([name, *cells, *flops, f"{pairs_per_second(student, pairs):,.0f}"]) + " |"


def table(runs: dict[str, FinetuneConfig]) -> Iterator[str]:
    """Lines of a Markdown table with a row for each of ``runs``, which are run first where they have not ended."""
    for run in runs.values():
        once(run.out, recorded(run), partial(finetune, run))
    header = ["change", *SCORES.values(), "FLOPs a token", "FLOPs a pair", "pairs/s"]
    yield "| " + " | ".join(header) + " |"
    yield "|" + " --- |" * len(header)
    for name, run in runs.items():
        yield row(run, name)


if __name__ == "__main__":
    with one_line_errors():
        for line in table(ladder(parse_options(AblateConfig))):
            print(line)
