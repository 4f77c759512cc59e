"""The public package: what it names, what it imports, and that it answers as the service does, bit for bit."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from starlette.testclient import TestClient

import cmow
from cmow.service.errors import (
    EmptyListError,
    EmptyTextError,
    InvalidTextError,
    LengthMismatchError,
    SchemaError,
    StartError,
    TextTooLongError,
)
from cmow.service.options.settings import Settings
from cmow.service.serve.app import create_app
from tests.tiny_bundle import TinyBundle

TEXTS = ["a dog", "the man is playing", "it rains"]


@pytest.fixture(scope="module")
def model(tiny_bundle: TinyBundle) -> Iterator[cmow.Model]:
    with cmow.load(tiny_bundle.path, threads=2) as model:
        yield model


@pytest.fixture(scope="module")
def client(tiny_bundle: TinyBundle) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(bundle=tiny_bundle.path, threads=2))) as client:
        yield client


def in_a_process(code: str, **environment: str) -> str:
    """What ``code`` prints in a process of its own that imports the package from where this one has it."""
    path = os.pathsep.join([str(Path(cmow.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, env=os.environ | {"PYTHONPATH": path} | environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_public_names() -> None:
    names = ["Claim", "CmowError", "Duplicates", "Entailment", "Evidence", "Label", "Match", "Model", "Ranked", "Token"]
    assert cmow.__all__ == [*names, "dedupe", "load"]
    assert dir(cmow) == sorted(cmow.__all__)
    for name in cmow.__all__:
        assert getattr(cmow, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'similarity'"):
        cmow.similarity  # noqa: B018


def test_neither_torch_nor_the_web_side_is_imported(tiny_bundle: TinyBundle) -> None:
    heavy = {"torch", "fastapi", "starlette", "uvicorn", "pydantic_settings", "prometheus_client", "transformers"}
    code = f"""
import sys, cmow
print(sorted(name for name in ("numpy", "onnxruntime", "msgspec", "pydantic", *{heavy}) if name in sys.modules))
cmow.load({str(tiny_bundle.path)!r}).similarity("a dog", "the man")
print(sorted({heavy} & sys.modules.keys()))
"""
    assert in_a_process(code).split("\n")[:2] == ["[]", "[]"]


def test_to_load_a_model_takes_no_pydantic(tiny_bundle: TinyBundle) -> None:
    """Its import alone takes a third of the time that a load may have."""
    code = f"""
import sys, cmow
cmow.load({str(tiny_bundle.path)!r}).similarity("a dog", "the man")
print("numpy" in sys.modules, sorted({{"pydantic", "pydantic_core"}} & sys.modules.keys()))
"""
    assert in_a_process(code) == "True []\n"


@pytest.mark.parametrize("mode", ["cosine", "paraphrase", "relatedness"])
def test_similarity_has_the_bits_of_the_service(client: TestClient, model: cmow.Model, mode: Any) -> None:
    body = {"sentence1": TEXTS[0], "sentence2": TEXTS, "mode": mode}
    expected = np.array(client.post("/similarity", json=body).json()["scores"], np.float32)
    found = model.similarity(TEXTS[0], TEXTS, mode=mode)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


def test_entailment_has_the_bits_of_the_service(client: TestClient, model: cmow.Model) -> None:
    results = client.post("/entailment", json={"premise": TEXTS, "hypothesis": TEXTS[::-1]}).json()["results"]
    found = model.entailment(TEXTS, TEXTS[::-1])
    assert found.labels == [result["label"] for result in results]
    expected = [[result["scores"][name] for name in found.classes] for result in results]
    np.testing.assert_array_equal(found.scores, np.array(expected, np.float32))


def test_the_other_methods_answer_as_their_endpoints(client: TestClient, model: cmow.Model) -> None:
    np.testing.assert_array_equal(
        model.embed(TEXTS), np.array(client.post("/embed", json={"inputs": TEXTS}).json(), np.float32)
    )
    ranked = client.post("/rerank", json={"query": "a man", "texts": TEXTS}).json()
    found = model.rerank("a man", TEXTS)
    assert [(entry.index, np.float32(entry.score)) for entry in found] == [
        (entry["index"], np.float32(entry["score"])) for entry in ranked
    ]
    assert [entry.document for entry in found] == [TEXTS[entry.index] for entry in found]
    assert model.rerank("a man", TEXTS, top_n=1) == found[:1]
    zero_shot = client.post("/zero-shot", json={"text": "a man", "labels": ["dog", "rain"], "multi_label": True}).json()
    labels = model.zero_shot("a man", ["dog", "rain"], multi_label=True)
    assert [entry.label for entry in labels] == zero_shot["labels"]
    assert np.float32([entry.score for entry in labels]).tolist() == np.float32(zero_shot["scores"]).tolist()
    tokens = client.post("/tokenize", json={"inputs": TEXTS}).json()
    assert [[(token.id, token.text, token.start, token.stop) for token in row] for row in model.tokenize(TEXTS)] == [
        [(token["id"], token["text"], token["start"], token["stop"]) for token in row] for row in tokens
    ]


class FakeSeries:
    """As a pandas or a Polars column gives its values."""

    def __init__(self, method: str) -> None:
        setattr(self, method, lambda: list(TEXTS))


@pytest.mark.parametrize(
    "column",
    [
        tuple(TEXTS),
        np.array(TEXTS),
        np.array(TEXTS, object),
        pa.array(TEXTS),
        pa.chunked_array([TEXTS[:1], TEXTS[1:]]),
        FakeSeries("tolist"),
        FakeSeries("to_list"),
    ],
)
def test_columns(model: cmow.Model, column: Any) -> None:
    np.testing.assert_array_equal(model.embed(column), model.embed(TEXTS))
    np.testing.assert_array_equal(model.similarity(column, "a dog"), model.similarity(TEXTS, "a dog"))
    assert model.embed("a dog").shape == (1, 384)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda model: model.embed([]), EmptyListError, "texts: expected at least one text, got an empty list"),
        (lambda model: model.embed(["a", " "]), EmptyTextError, "texts[1]: expected text with at least one token"),
        (lambda model: model.embed("\ud800"), InvalidTextError, "texts: expected Unicode text"),
        (lambda model: model.embed(["a", None]), SchemaError, "texts[1]: expected a string, got NoneType"),
        (lambda model: model.embed(np.array([1.5])), SchemaError, "texts[0]: expected a string, got float"),
        (lambda model: model.embed(b"a"), SchemaError, "texts: expected a string or a list of strings, got bytes"),
        (lambda model: model.embed(7), SchemaError, "texts: expected a string or a list of strings, got int"),
        (lambda model: model.similarity(["a"], ["a", "b"]), LengthMismatchError, "got 1 in sentence1 and 2"),
        (lambda model: model.similarity("a", "b", mode="l2"), SchemaError, "mode: expected cosine, paraphrase"),
        (lambda model: model.entailment("a", "b" * 100_001), TextTooLongError, "hypothesis: expected at most 100000"),
        (lambda model: model.rerank("a", ["b"], top_n=0), SchemaError, "top_n: expected a number from 1 on"),
        (lambda model: model.zero_shot("a", ["b"], template="{} {}"), SchemaError, "expected {} once, got it 2 times"),
        (lambda model: model.zero_shot("a", ["b", " "]), EmptyTextError, "labels[1]: expected text, got none"),
        (lambda model: cmow.load("/nowhere"), StartError, "/nowhere"),
        (lambda model: cmow.load(provider="tpu"), SchemaError, "provider: expected auto, cpu, cuda, got 'tpu'"),
        (lambda model: cmow.load(threads=-1), SchemaError, "threads: expected a number from 0 to 1024, got -1"),
    ],
)
def test_errors(model: cmow.Model, call: Callable[[cmow.Model], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(cmow.CmowError) as caught:
        call(model)
    assert type(caught.value) is error or isinstance(caught.value, error)
    assert message in str(caught.value)


def test_long_texts_are_refused_unless_they_may_be_cut(model: cmow.Model) -> None:
    limit = model.manifest.max_tokens
    long = "dog " * (limit + 1)
    with pytest.raises(TextTooLongError, match=f"sentence1: expected at most {limit} tokens, got more"):
        model.similarity(long, "a man")
    np.testing.assert_array_equal(
        model.similarity(long, "a man", truncate=True), model.similarity("dog " * limit, "a man")
    )


def test_more_texts_than_a_request_may_hold(model: cmow.Model) -> None:
    texts = [f"dog {number}" for number in range(1500)]
    assert model.embed(texts).shape == (1500, 384)
    assert model.similarity("a man", texts).shape == (1500,)


def test_many_threads_at_once(model: cmow.Model) -> None:
    expected = model.similarity("a dog", TEXTS * 50)
    with ThreadPoolExecutor(8) as threads:
        for found in threads.map(lambda _: model.similarity("a dog", TEXTS * 50), range(40)):
            np.testing.assert_array_equal(found, expected)


def many_pairs(model: cmow.Model) -> list[float]:
    """Enough that the engine shares them out among its threads."""
    scores: list[float] = model.similarity("a dog " * 100, [f"the man {number}" for number in range(600)]).tolist()
    return scores


def _answer(model: cmow.Model, answers: Any) -> None:
    answers.put(many_pairs(model))


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_other_processes(model: cmow.Model, method: str) -> None:
    """A model goes to another process by fork with its memory, or by pickle as the address of its bundle."""
    context: Any = multiprocessing.get_context(method)
    answers = context.Queue()
    process = context.Process(target=_answer, args=(model, answers))
    process.start()
    try:
        assert answers.get(timeout=60) == many_pairs(model)
    finally:
        process.join(10)
        process.kill()


def test_pickle(model: cmow.Model) -> None:
    again: cmow.Model = pickle.loads(pickle.dumps(model))
    assert again.limits == model.limits
    np.testing.assert_array_equal(again.embed(TEXTS), model.embed(TEXTS))
    again.close()


def test_a_closed_model_says_so(tiny_bundle: TinyBundle) -> None:
    model = cmow.load(tiny_bundle.path)
    model.close()
    model.close()
    for call in (lambda: model.embed("a"), lambda: model.tokenize("a"), lambda: model.similarity("a", "b")):
        with pytest.raises(cmow.CmowError, match="the model is closed"):
            call()


def test_a_checkout_without_links_is_told_so(tmp_path: Path) -> None:
    """As where git writes a link as a file with its target in it."""
    (tmp_path / "cmow").mkdir()
    (tmp_path / "cmow/__init__.py").write_text(Path(cmow.__file__).read_text())
    (tmp_path / "cmow/service").write_text("../../service")
    code = "try:\n    import cmow\nexcept ImportError as error:\n    print(error)"
    assert "this file system keeps no symbolic links" in in_a_process(code, PYTHONPATH=str(tmp_path))
