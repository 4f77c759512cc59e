"""Does a bundle tell what says the same from its opposite? A hundred requests, written by hand and never trained on.

    python -m training.verdicts.commands [--bundle service/bundle] [--json FILE]

``commands.tsv`` has for each request a paraphrase and an opposite, which differs in an act (turn on, turn off), a
degree, a direction, a time, an order, an amount, or a negation. The rule of ``POST /same`` judges both. Both answers
weigh the same, so that 50 is chance. Nothing is fitted on them, nor chosen by them.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from cmow.service.model.model import Model, open_model
from training.command.start import start
from training.data.atomic import write_json
from training.options import OutputFile, Threaded

FILE = Path(__file__).with_name("commands.tsv")


@dataclass(frozen=True)
class CommandsConfig(Threaded):
    """What to score."""

    bundle: Path = field(default=Path("service/bundle"), metadata={"help": "bundle folder"})
    json: OutputFile | None = field(default=None, metadata={"help": "also write the scores to this file"})


class Command(NamedTuple):
    """A request; ``kind`` says in what its opposite differs."""

    domain: str
    kind: str
    request: str
    paraphrase: str
    opposite: str


class Judgement(NamedTuple):
    """What was said of a request's paraphrase, and of its opposite: whether each is the same."""

    command: Command
    paraphrase: bool
    opposite: bool


def read_commands(path: Path = FILE) -> list[Command]:
    """The requests, in order."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        if tuple(next(rows)) != Command._fields:
            raise ValueError(f"{path}: expected the columns {', '.join(Command._fields)}")
        return [Command(*row) for row in rows]


def judge(model: Model, commands: Sequence[Command]) -> list[Judgement]:
    """What ``model`` says of each."""
    judgements = []
    for command in commands:
        matches = model.same(command.request, [command.paraphrase, command.opposite])
        said = {match.index: match.same for match in matches}
        judgements.append(Judgement(command, said[0], said[1]))
    return judgements


def scores(judgements: Sequence[Judgement]) -> dict[str, dict[str, float]]:
    """In percent, of all, of each kind and of each domain: balanced accuracy, and the two shares it is the mean of."""
    groups = {"all": list(judgements)}
    for judgement in sorted(judgements, key=lambda each: each.command.kind):
        groups.setdefault(judgement.command.kind, []).append(judgement)
    for judgement in judgements:
        groups.setdefault(judgement.command.domain, []).append(judgement)
    table = {}
    for name, found in groups.items():
        same = 100 * sum(each.paraphrase for each in found) / len(found)
        apart = 100 * sum(not each.opposite for each in found) / len(found)
        table[name] = {"requests": len(found), "right": (same + apart) / 2, "paraphrases": same, "opposites": apart}
    return table


def main(config: CommandsConfig) -> None:
    """Judge, print and write."""
    with open_model(config.bundle, "cpu", config.threads, require_fused_op=False) as model:
        table = scores(judge(model, read_commands()))
    print(f"{'':12} {'requests':>8} {'right':>6} {'paraphrases':>11} {'opposites':>9}")
    for name, row in table.items():
        cells = f"{row['right']:6.1f} {row['paraphrases']:11.1f} {row['opposites']:9.1f}"
        print(f"{name:12} {row['requests']:8} {cells}")
    if config.json:
        write_json(config.json, table)


if __name__ == "__main__":
    start(CommandsConfig, "training.verdicts.commands:main")
