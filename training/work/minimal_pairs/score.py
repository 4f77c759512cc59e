"""The work of ``training.minimal_pairs.score``.

A pair counts as told right where the entailment head says "entailment" of what follows and of nothing else
(statements), or where the paraphrase head is above a half for what says the same and for nothing else (questions,
commands, queries). Both answers weigh the same, so that 50 is chance. Of triples it is the share in which the rephrased
sentence is nearer to the anchor than the exchanged one, by each measure of ``/similarity``.

Letters: P pairs, T triples.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cmow.service.model.bundle import load_bundle
from cmow.service.model.engine import Engine, EngineOptions, TaskName
from training.data.atomic import write_json
from training.minimal_pairs.generate import HELD_OUT_NAMES, dev_items
from training.minimal_pairs.relations import Item, Pair, Triple
from training.minimal_pairs.score import ScoreConfig
from training.minimal_pairs.words import Lexicon

MEASURES: tuple[TaskName, ...] = ("similarity", "relatedness", "paraphrase")


def told_right(engine: Engine, pairs: Sequence[Pair]) -> float:
    """Share [0, 1] of ``pairs`` [P] told right, both answers weighing the same; unlabelled pairs are left out."""
    known = [pair for pair in pairs if pair.entailment is not None or pair.paraphrase is not None]
    texts = [(pair.first, pair.second) for pair in known]
    entailed = engine.answer("entailment", texts)[:, engine.bundle.manifest.labels.index("entailment")] > 0.5
    same = engine.answer("paraphrase", texts) > 0.5
    stated = np.array([pair.entailment is not None for pair in known])
    truth = np.array([pair.entailment == "entailment" if pair.entailment else pair.paraphrase for pair in known], bool)
    return balanced(np.where(stated, entailed, same), truth)


def balanced(said: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Mean of the shares of right answers among the positive and among the negative ones; of those that there are."""
    shares = [np.mean(said[truth == each] == each) for each in (True, False) if (truth == each).any()]
    return float(np.mean(shares))


def ordered_right(engine: Engine, triples: Sequence[Triple], measure: TaskName) -> NDArray[np.bool_]:
    """Whether ``measure`` puts the rephrased sentence of each triple [T] above the exchanged one."""
    rephrased = engine.answer(measure, [(triple.anchor, triple.rephrased) for triple in triples])
    exchanged = engine.answer(measure, [(triple.anchor, triple.exchanged) for triple in triples])
    return np.asarray(rephrased > exchanged)


def scores(engine: Engine, items: dict[str, list[Item]]) -> dict[str, dict[str, float]]:
    """In percent, by kind: pairs told ``right``, and triples put in order by each measure, where there are some."""
    table: dict[str, dict[str, float]] = {}
    for kind, found in items.items():
        row = {"right": told_right(engine, [pair for item in found for pair in item.pairs()])}
        if triples := [triple for item in found for triple in item.triples()]:
            row |= {measure: float(ordered_right(engine, triples, measure).mean()) for measure in MEASURES}
        table[kind] = {name: round(100 * value, 1) for name, value in row.items()}
    return table


def means(table: dict[str, dict[str, float]], held_out: frozenset[str]) -> dict[str, dict[str, float]]:
    """Means over the kinds of training, and over those that were ``held_out``."""
    groups = {"kinds of training": table.keys() - held_out, "kinds held out": table.keys() & held_out}
    names = ("right", *MEASURES)
    return {
        group: {
            name: round(float(np.mean([table[kind][name] for kind in sorted(kinds) if name in table[kind]])), 1)
            for name in names
        }
        for group, kinds in groups.items()
    }


def main(config: ScoreConfig) -> None:
    """Score, print and write."""
    engine = Engine(load_bundle(config.bundle), EngineOptions(threads=config.threads))
    lexicon = Lexicon.harvest(config.data, "dev")
    table = scores(engine, dev_items(lexicon, config.seed, config.items))
    table |= means(table, frozenset(HELD_OUT_NAMES))
    print(f"{'':18} {'told right':>10} {'cosine':>8} {'related':>8} {'paraphrase':>10}")
    for kind, row in table.items():
        cells = [f"{row[name]:.1f}" if name in row else "" for name in ("right", *MEASURES)]
        print(f"{kind:18} {cells[0]:>10} {cells[1]:>8} {cells[2]:>8} {cells[3]:>10}")
    if config.json:
        write_json(config.json, table)
