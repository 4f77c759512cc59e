"""Documents hold their premises, and thresholds that made the verdicts are found."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cmow.service.model.bundle import Claims
from cmow.service.model.model import Model, open_model
from cmow.service.model.verdicts.claims import Claim, Evidence
from tests.tiny_bundle import TinyBundle
from tests.training.tiny_project import write_data
from training.data.labelled import ACCEPTED, LabelledPairs
from training.verdicts import documents as command
from training.verdicts.claims import best_thresholds, check, documents, fit_claims, split_documents

LABELS = ["entailment", "contradiction", "neutral"]
TEXTS = [(f"premise {row}", f"claim {row}") for row in range(7)]
PAIRS = LabelledPairs.of(TEXTS, entailment=np.array([ACCEPTED[LABELS[row % 3]] for row in range(7)]))


@pytest.mark.parametrize("premises", [1, 2, 7, 20])
def test_documents_hold_every_premise_and_claim_once(premises: int) -> None:
    found = list(documents(PAIRS, premises))
    assert sorted(claim for document in found for claim in document.claims) == [claim for _, claim in TEXTS]
    for document in found:
        numbers = [claim.split()[1] for claim in document.claims]
        assert document.text == " ".join(f"premise {number}." for number in numbers)
        verdicts = {"entailment": "supported", "contradiction": "contradicted", "neutral": "not found"}
        assert document.truth == [verdicts[LABELS[int(number) % 3]] for number in numbers]


def test_unlabelled_pairs_are_left_out() -> None:
    pairs = LabelledPairs.of([("a", "b")], entailment=np.array([ACCEPTED["not_entailment"]]))
    assert list(documents(pairs, 1)) == []


def test_thresholds_that_made_the_verdicts_are_found() -> None:
    """What is called supported is so from 0.6 on, what is called contradicted from 0.7 on, and not found below."""
    said, known = [], []
    for label, cut in (("supported", 0.6), ("contradicted", 0.7)):
        for probability in np.linspace(0.4, 1, 61):
            said.append(Claim("a", label, float(probability), Evidence(0, 0, 1, "a"), None))  # type: ignore[arg-type]
            known.append(label if probability >= cut - 1e-9 else "not found")
    said.append(Claim("a", "supported", 0.5, Evidence(0, 0, 1, "a"), None))  # wrong, whatever the threshold
    known.append("contradicted")
    found = best_thresholds(said, np.array(known))
    assert (found.supported, found.contradicted) == pytest.approx((0.6, 0.7), abs=0.01)


def test_what_is_never_said_has_a_threshold_too() -> None:
    said = [Claim("a", "supported", 0.9, Evidence(0, 0, 1, "a"), None)]
    assert best_thresholds(said, np.array(["supported"])).contradicted == 0.5


def test_without_training_splits_the_thresholds_stay(tiny_bundle: TinyBundle, tmp_path: Path) -> None:
    assert fit_claims(tiny_bundle.load(), tmp_path) == Claims()


def test_recalls_and_their_mean(tiny_bundle: TinyBundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, path = write_data(tmp_path / "data"), tmp_path / "scores.json"
    command.main(command.DocumentsConfig(data, tiny_bundle.path, json=path))
    table = json.loads(path.read_text())
    assert table.keys() == {"nli/snli/dev.jsonl.gz, 1", "nli/snli/dev.jsonl.gz, 20"}
    with open_model(tiny_bundle.path, "cpu", 1, False) as model:
        for (name, premises, found), row in zip(split_documents(data, "dev"), table.values(), strict=True):
            assert row == _recalls(model, found), (name, premises)
    assert "not found" in capsys.readouterr().out


def _recalls(model: Model, found: list[command.Document]) -> dict[str, float]:
    right: dict[str, list[bool]] = {"supported": [], "contradicted": [], "not found": []}
    truth = [label for document in found for label in document.truth]
    for known, claim in zip(truth, check(model, found), strict=True):
        right[known].append(claim.label == known)
    recalls = {label: 100 * sum(each) / len(each) for label, each in right.items()}
    return {name: pytest.approx(value) for name, value in (recalls | {"mean": sum(recalls.values()) / 3}).items()}
