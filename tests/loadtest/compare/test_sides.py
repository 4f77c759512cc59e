"""Every side says what its obvious twin says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from onnxruntime import OrtValue
from transformers import DistilBertForSequenceClassification

from cmow.service.text.pairs import SentencePairs
from cmow.service.text.tokenizer import Tokenizer
from loadtest.compare.catalogue import CATALOGUE, PORTABLE, by_name
from loadtest.compare.contestant import Contestant, SideError
from loadtest.compare.models import DISTILBERT, TOKENIZER
from loadtest.compare.side import Context, Side, cosines
from loadtest.compare.sides.distilbert_server import joined
from loadtest.compare.sides.padding import PaddedTokenizer
from loadtest.compare.sides.remote import open_distilbert, open_service
from loadtest.compare.sides.student import open_portable
from loadtest.compare.sides.transformer import distilbert_side
from loadtest.compare.texts import Corpus
from loadtest.compare.workloads import ONE_SIMILARITY
from tests.loadtest.pairs import PAIRS
from tests.tiny_baseline import LABELS
from tests.tiny_bundle import TinyBundle
from training.data.files import NLI_LABELS

TEXT = Path("tests/data/sentences.txt")


@pytest.fixture(scope="module")
def student(context: Context) -> Side:
    return open_portable(context)


def test_the_student_scores_as_its_embeddings_do(student: Side) -> None:
    assert student.embed is not None
    assert student.similarity is not None
    assert_allclose(student.similarity(PAIRS), cosines(student.embed, PAIRS), atol=1e-6)


def test_the_encoder_alone_gives_the_states_of_the_text(student: Side) -> None:
    assert student.state is not None
    assert student.encoder is not None
    texts = [text for pair in PAIRS for text in pair]
    for given, most, expected in ((texts, 64, texts), (["it rains a"], 2, ["it rains"])):
        found = student.encoder(given, most)()
        assert isinstance(found, OrtValue)
        assert_allclose(found.numpy(), student.state(expected), rtol=1e-5, atol=1e-5)


def test_the_service_answers_what_the_student_says(student: Side, context: Context) -> None:
    remote = open_service(context)
    try:
        for task in ("similarity", "entailment"):
            there, here = remote.score(task), student.score(task)
            assert there is not None
            assert here is not None
            assert_allclose(there(PAIRS * 70), here(PAIRS * 70), atol=1e-5)  # in two requests
    finally:
        remote.close()


def torch_probabilities(model: DistilBertForSequenceClassification, context: Context) -> np.ndarray:
    """[P, 3] in the order of ``NLI_LABELS``, by transformers alone."""
    feeds = PaddedTokenizer(context.models / DISTILBERT / TOKENIZER, 512)(PAIRS)
    with torch.inference_mode():
        logits = model(*(torch.from_numpy(feed) for feed in feeds.values())).logits
    columns = [LABELS["entailment"].index(label) for label in NLI_LABELS]
    return np.asarray(logits.softmax(dim=1)[:, columns])


def test_distilbert_in_onnx_says_what_it_says_in_torch(
    distilbert: DistilBertForSequenceClassification, context: Context
) -> None:
    expected = torch_probabilities(distilbert, context)
    for precision, tolerance in (("fp32", 1e-5), ("fp16", 1e-2), ("int8", 5e-2)):
        side = distilbert_side(context, precision)
        assert side.entailment is not None
        assert_allclose(side.entailment(PAIRS), expected, atol=tolerance)
        assert side.trained == {"entailment"}


def test_distilbert_behind_http_says_what_it_says_in_process(context: Context) -> None:
    here, remote = distilbert_side(context, "int8"), open_distilbert(context)
    try:
        assert here.entailment is not None
        assert remote.entailment is not None
        assert_allclose(remote.entailment(PAIRS[:1]), here.entailment(PAIRS[:1]), atol=1e-5)
        assert_allclose(remote.entailment(PAIRS), here.entailment(PAIRS), atol=5e-2)  # int8 scales are a batch's
    finally:
        remote.close()


def test_pairs_are_joined_from_tokens_as_from_text(tiny_bundle: TinyBundle, context: Context) -> None:
    sentences = SentencePairs.of(PAIRS)
    packed = Tokenizer(tiny_bundle.path / "tokenizer.json", 256).encode(sentences.texts)
    tokenise = PaddedTokenizer(context.models / DISTILBERT / TOKENIZER, 512)
    ours = joined(packed, sentences.index, tokenise.token_id("[CLS]"), tokenise.token_id("[SEP]"))
    for name, expected in tokenise(PAIRS).items():
        np.testing.assert_array_equal(ours[name], expected)


def test_a_contestant_in_its_process_scores_as_here_and_is_timed(student: Side, context: Context) -> None:
    assert student.similarity is not None
    with Contestant(by_name(PORTABLE), context, TEXT) as contestant:
        assert_allclose(contestant.score("similarity", PAIRS), student.similarity(PAIRS), atol=1e-6)
        timed = contestant.time(ONE_SIMILARITY, 0.01, None)
        assert timed["items"] == 1
        assert min(timed["seconds"]) > 0
        assert contestant.peak_rss() > 10**7
        assert ONE_SIMILARITY.name in contestant.workloads


def test_a_side_that_does_not_load_says_why(context: Context) -> None:
    with pytest.raises(SideError, match="nowhere"):
        Contestant(by_name(PORTABLE), Context(1, context.bundle / "nowhere", context.models), TEXT)


def test_a_side_that_is_not_installed_is_named() -> None:
    for spec in CATALOGUE:
        reason = spec.absent()
        assert reason is None or "not installed" in reason or "GPU" in reason


def test_wordllama_is_used_as_its_authors_do(context: Context) -> None:
    pytest.importorskip("wordllama", reason="the extra `peers` is not installed")
    from wordllama import WordLlama

    from loadtest.compare.sides.static import open_wordllama

    side = open_wordllama(context)
    assert side.similarity is not None
    folder = side.files[0].parent.parent
    model = WordLlama.load(cache_dir=folder, disable_download=True)
    assert_allclose(side.similarity(PAIRS), [model.similarity(*pair) for pair in PAIRS], atol=1e-5)


@pytest.mark.parametrize("words", [1, 14, 400])
def test_texts_have_the_length_asked_for_and_differ(words: int) -> None:
    texts = Corpus(TEXT).texts(256, words)
    assert {len(text.split()) for text in texts} == {words}
    assert len(set(texts)) == 256 or words == 1
