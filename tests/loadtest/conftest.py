"""The service as a process, and small stand-ins for the files of the comparison, made by the code of the real ones."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from transformers import DistilBertForSequenceClassification

from export.work.baseline import Checkpoint
from loadtest.compare.making import make_distilbert
from loadtest.compare.models import DISTILBERT
from loadtest.compare.side import Context
from loadtest.harness.processes import Running, serving
from tests.tiny_baseline import LABELS, tiny_model, tiny_tokenizer
from tests.tiny_bundle import TinyBundle


@pytest.fixture(scope="session")
def server(tiny_bundle: TinyBundle) -> Iterator[Running]:
    """The service on the tiny bundle, as a process of its own."""
    with serving("cmow.service.serve.cli", ["--bundle", str(tiny_bundle.path), "--max-queue-pairs", "16"]) as running:
        yield running


@pytest.fixture(scope="session")
def distilbert() -> DistilBertForSequenceClassification:
    """One layer, random, with a head for entailment."""
    return tiny_model(LABELS["entailment"])


@pytest.fixture(scope="session")
def context(tiny_bundle: TinyBundle, tmp_path_factory: pytest.TempPathFactory) -> Context:
    """What sides are opened with; of the other models only ``distilbert`` is there."""
    models = tmp_path_factory.mktemp("models")
    (models / DISTILBERT).mkdir()
    labels = LABELS["entailment"]
    checkpoint = Checkpoint(tiny_model(labels), tiny_tokenizer(models), "tiny", "entailment", labels)
    make_distilbert(models / DISTILBERT, checkpoint)
    return Context(1, tiny_bundle.path, models)
