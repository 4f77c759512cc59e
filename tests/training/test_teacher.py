"""The teacher's embeddings against plain transformers, and its cache across a kill, with a tiny local BERT."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import BertModel

from cmow.service.text.tokenizer import Tokenizer
from tests.training.tiny_project import sentences, write_bert, write_data, write_lines
from training.errors import StaleError, TeacherError
from training.teacher import TeacherConfig
from training.teachers.blocks import length_batches
from training.teachers.cache import TeacherCache
from training.teachers.sentence import SentenceTeacher
from training.work.teacher import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def config(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> TeacherConfig:
    data = write_data(tmp_path_factory.mktemp("data"))
    return TeacherConfig(data=data, out=data / "cache", teacher=str(folder), block=10)


def test_embeddings_are_the_masked_mean_of_a_padded_batch(folder: Path) -> None:
    teacher, texts = SentenceTeacher(str(folder)), sentences(20, seed=3)
    encoded = [teacher.tokenizer(text)["input_ids"] for text in texts]
    longest = max(map(len, encoded))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in encoded])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in encoded])
    model = BertModel.from_pretrained(folder)
    model.train(False)
    with torch.no_grad():
        states = model(ids, attention_mask=mask).last_hidden_state
    mean = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    expected = torch.nn.functional.normalize(mean, dim=1).numpy()
    np.testing.assert_allclose(
        teacher.embed(texts, batch_tokens=16), expected, atol=2e-2
    )  # the teacher runs in bfloat16


def test_batches_have_one_length_and_hold_every_row_once() -> None:
    lengths = [3, 1, 3, 3, 2, 50, 1]
    batches = list(length_batches(lengths, batch_tokens=6))
    assert sorted(row for rows in batches for row in rows) == list(range(len(lengths)))
    assert all(len({lengths[row] for row in rows}) == 1 for rows in batches)
    assert max(len(rows) * lengths[rows[0]] for rows in batches if lengths[rows[0]] < 6) <= 6


def run(config: TeacherConfig) -> TeacherCache:
    main(config)
    return TeacherCache.open(config.out)


def test_a_killed_run_goes_on_to_the_same_cache(config: TeacherConfig) -> None:
    whole = run(config)
    expected, state = whole.targets.copy(), json.loads((config.out / "state.json").read_text())
    assert whole.done == len(whole.sentences) == state["done"] > 10
    np.testing.assert_allclose(np.linalg.norm(expected.astype(np.float32), axis=1), 1, atol=1e-2)
    # As a kill after the first block leaves it: the rest was never written.
    targets = np.load(config.out / "targets.npy", mmap_mode="r+")
    targets[10:] = 0
    targets.flush()
    (config.out / "state.json").write_text(json.dumps(state | {"done": 10}))
    again = run(config)
    np.testing.assert_array_equal(again.targets, expected)
    assert Tokenizer(config.out / "tokenizer.json", 64).encode(["the man " * 20]).lengths.tolist() == [40]


def test_a_line_end_within_running_text_is_a_space(config: TeacherConfig, tmp_path: Path) -> None:
    data = write_data(tmp_path / "data")
    write_lines(data / "text/more.txt.gz", ["the man\ris playing", "the  man is\u2028not"])
    cache = run(replace(config, data=data, out=tmp_path / "cache"))
    assert cache.done == len(cache.sentences)
    assert {"the man is playing", "the man is not"} <= set(cache.sentences)


def test_teachers_without_all_weights_or_places_are_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "bert")
    save_file({"other": torch.zeros(1)}, tmp_path / "bert/model.safetensors")
    with pytest.raises(TeacherError, match="expected all weights of an encoder, found none for"):
        SentenceTeacher(str(tmp_path / "bert"))
    with pytest.raises(TeacherError, match="expected an encoder's folder or hub name"):
        SentenceTeacher(str(tmp_path / "nothing"))
    with pytest.raises(TeacherError, match="expected --max-tokens of at most 512, got 513"):
        SentenceTeacher(str(folder), 513)


def test_a_cache_of_other_options_is_refused(config: TeacherConfig) -> None:
    run(config)
    other = TeacherConfig(data=config.data, out=config.out, teacher=config.teacher, seed=1)
    with pytest.raises(StaleError, match=r"cache: made with others: --seed was 0, is 1\. Take another --out"):
        run(other)


def test_a_cache_does_not_go_on_with_other_data(config: TeacherConfig, tmp_path: Path) -> None:
    own = replace(config, data=write_data(tmp_path / "data"), out=tmp_path / "cache")
    run(own)
    os.utime(own.data / "nli/snli/train.jsonl.gz")
    run(own)  # another time, the same content
    write_lines(own.data / "text/plain.txt.gz", ["other text"])
    with pytest.raises(StaleError, match=r"made with others: \S+plain\.txt\.gz has changed\. Take another"):
        run(own)
