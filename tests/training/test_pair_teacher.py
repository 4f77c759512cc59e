"""The pair teacher end to end on a tiny local BERT: it learns, resumes to the same result, and teaches a student."""

import json
import random
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.tiny_bundle import TinyBundle
from tests.training.tiny_project import killed_and_resumed, metrics, write_bert, write_data, write_teacher_cache
from training.data.files import plain_sentences, split_files
from training.data.labelled import read_labelled
from training.data.recipe import Recipe
from training.data.sentences import task_sentences
from training.distill import DistillConfig
from training.errors import StaleError, TeacherError
from training.finetune import FinetuneConfig
from training.loop.parallel import Processes
from training.pair_labels import PairLabelsConfig
from training.pair_teacher import PairTeacherConfig
from training.pairs.mining import Mine
from training.pairs.neighbours import Neighbours
from training.pairs.questions import balanced_questions, clusters
from training.teachers.cache import PairCache, TeacherCache
from training.teachers.cross_encoder import PairTeacher, shuffled_length_batches
from training.work.distill import distill
from training.work.finetune import finetune
from training.work.pair_labels import label
from training.work.pair_teacher import teach

ALONE = Processes()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    data = write_data(folder / "data")
    texts = [*dict.fromkeys(" ".join(text.split()) for text in task_sentences(data)), *plain_sentences(data)]
    write_teacher_cache(folder / "teacher", list(dict.fromkeys(texts)))
    write_bert(folder / "bert")
    return folder


@pytest.fixture(scope="module")
def config(project: Path) -> PairTeacherConfig:
    return PairTeacherConfig(
        data=project / "data",
        teacher_cache=project / "teacher",
        out=project / "pair_teacher",
        encoder=str(project / "bert"),
        epochs=3,
        lr=1e-3,
        batch_tokens=64,
        mined_negatives=6,
        checkpoint_steps=20,
    )


@pytest.fixture(scope="module")
def taught(config: PairTeacherConfig) -> PairTeacher:
    return teach(config)


@pytest.fixture(scope="module")
def labels(config: PairTeacherConfig, taught: PairTeacher, project: Path) -> PairLabelsConfig:
    options = PairLabelsConfig(
        data=config.data,
        teacher=config.out,
        teacher_cache=config.teacher_cache,
        out=project / "pair_labels",
        mined=50,
        block=40,
    )
    label(options)
    return options


def test_it_learns_all_three_tasks(config: PairTeacherConfig, taught: PairTeacher) -> None:
    first, *_, last = metrics(config.out)
    assert last["loss"] < first["loss"]
    assert {"snli_accuracy", "rte_accuracy", "stsb_spearman", "qqp_accuracy"} <= last.keys()


def test_a_saved_teacher_judges_alike(config: PairTeacherConfig, taught: PairTeacher) -> None:
    pairs = [("a man", "the man is playing"), ("it rains", "a dog"), ("the woman", "the woman")] * 3
    for expected, found in zip(taught.judge(pairs), PairTeacher.load(config.out).judge(pairs), strict=True):
        np.testing.assert_allclose(expected, found, atol=0.02)  # loaded, it runs in bfloat16 throughout
    one_by_one = [taught.judge([pair]).entailment[0] for pair in pairs]
    np.testing.assert_allclose(taught.judge(pairs).entailment, one_by_one, atol=0.05)  # bfloat16


def test_a_killed_teacher_resumes_to_the_same_result(
    config: PairTeacherConfig, taught: PairTeacher, tmp_path: Path
) -> None:
    again = replace(config, out=tmp_path)
    resumed = killed_and_resumed(lambda: teach(again), saves=1).model.state_dict()
    assert all(torch.equal(weight, resumed[name]) for name, weight in taught.model.state_dict().items())


def test_labels_go_on_where_a_kill_left_them(labels: PairLabelsConfig) -> None:
    whole = PairCache.open(labels.out)
    logits, state = np.array(whole.logits), json.loads((labels.out / "state.json").read_text())
    assert whole.done == len(whole.pairs) > 40
    cache = PairCache.open(labels.out, "r+")
    cache.logits[40:] = 0
    cache.logits.flush()
    (labels.out / "state.json").write_text(json.dumps(state | {"done": 40}))
    label(labels)
    np.testing.assert_array_equal(PairCache.open(labels.out).logits, logits)


def test_batches_and_blocks_change_no_judgement(labels: PairLabelsConfig, tmp_path: Path) -> None:
    other = replace(labels, out=tmp_path, block=7, batch_tokens=64)
    label(other)
    expected, found = PairCache.open(labels.out), PairCache.open(tmp_path)
    assert found.texts(slice(None)) == expected.texts(slice(None))
    np.testing.assert_allclose(np.float32(found.logits), np.float32(expected.logits), atol=0.03)  # bfloat16


def test_pairs_are_mined_by_a_bundle(labels: PairLabelsConfig, tiny_bundle: TinyBundle, tmp_path: Path) -> None:
    own = replace(
        labels, bundle=tiny_bundle.path, teacher_cache=tmp_path / "none", out=tmp_path / "own", near_captions=9, edits=0
    )
    label(own)
    cache = PairCache.open(own.out)
    assert cache.done == len(cache.pairs)
    commands = Recipe.read(own.out).commands
    assert commands[-1].endswith("--edits 0 --near-captions 9 --data DATA --bundle BUNDLE --mined 50 --block 40")
    with pytest.raises(StaleError, match=r"made with others: --near-captions was 9, is 0\. Take another"):
        label(replace(own, near_captions=0))


def test_gold_labels_stay_beside_the_judgements(labels: PairLabelsConfig) -> None:
    cache = PairCache.open(labels.out)
    gold = 30 + 8 + 12 + 12 + 16  # NLI, scored, Quora; MRPC is left out
    assert cache.entailment.any(axis=1).sum() == 30 + 8 + 12
    assert (~np.isnan(cache.similarity)).sum() == 12
    assert (~np.isnan(cache.paraphrase)).sum() == 16
    assert len(cache.pairs) > gold
    (path,) = split_files(labels.data, "train", ("paraphrase/mrpc",))
    mrpc = set(read_labelled(path, "paraphrase").texts)
    assert not mrpc & set(cache.texts(slice(len(cache.pairs))))


def test_a_student_learns_from_the_judgements(labels: PairLabelsConfig, project: Path) -> None:
    distilling = DistillConfig(
        data=labels.data, teacher_cache=labels.teacher_cache, out=project / "distill", epochs=1, batch=32
    )
    distill(distilling, ALONE)
    config = FinetuneConfig(
        data=labels.data,
        student=project / "distill",
        teacher_cache=labels.teacher_cache,
        pair_labels=labels.out,
        out=project / "student",
        epochs=4,
        batch=16,
        distill_batch=16,
        hidden_dim=16,
        checkpoint_steps=8,
    )
    finetune(config)
    first, *_, last, _ = metrics(config.out)
    assert last["entailment_loss"] < first["entailment_loss"]
    stages = [command.split(" ")[2] for command in Recipe.read(config.out).commands if command.startswith("python")]
    assert stages == ["training.distill", "training.pair_teacher", "training.pair_labels", "training.finetune"]


def test_caches_and_teachers_that_do_not_fit_are_refused(labels: PairLabelsConfig, tmp_path: Path) -> None:
    with pytest.raises(StaleError, match=r"--seed was 0, is 1"):
        label(replace(labels, seed=1))
    with pytest.raises(TeacherError, match=r"expected the state of a cache made by training"):
        PairCache.open(tmp_path)
    with pytest.raises(TeacherError, match=r"expected a pair teacher made by training\.pair_teacher"):
        PairTeacher.load(tmp_path)


def test_batches_have_one_length_hold_every_row_once_and_repeat_by_seed() -> None:
    lengths = [3, 1, 3, 3, 2, 5, 1, 3]
    batches = list(shuffled_length_batches(lengths, 6, seed=1))
    assert sorted(row for rows in batches for row in rows) == list(range(len(lengths)))
    assert all(len({lengths[row] for row in rows}) == 1 for rows in batches)
    assert batches == list(shuffled_length_batches(lengths, 6, seed=1))
    assert batches != list(shuffled_length_batches(lengths, 6, seed=2))


def test_pairs_of_scored_sentences_are_mined_beside_the_others(project: Path) -> None:
    mine = Mine(project / "data", Neighbours.of_cache(TeacherCache.open(project / "teacher")), random.Random(0))
    paths = split_files(mine.data, "train", ("similarity",))
    scored = [text for path in paths for text in chain.from_iterable(read_labelled(path, "similarity").texts)]
    known = set(mine.neighbours.known(scored))
    assert {text for pair in mine.all(0) for text in pair} <= known
    assert len(mine.all(5)) > len(mine.all(0))


def test_links_join_clusters() -> None:
    found = clusters([("a", "b"), ("c", "d"), ("b", "e"), ("f", "f")])
    assert found["a"] == found["b"] == found["e"]
    assert len({found[text] for text in "acf"}) == 3


def test_neighbours_are_the_nearest_others(project: Path) -> None:
    cache = TeacherCache.open(project / "teacher")
    neighbours = Neighbours.of_cache(cache)
    texts = cache.sentences[:30]
    vectors = cache.targets[:30].astype(np.float32)
    scores = vectors @ vectors.T
    np.fill_diagonal(scores, -np.inf)
    expected = [[texts[row] for row in line.argsort()[::-1][:3]] for line in scores]
    assert neighbours.nearest(texts, texts, 3, block=7) == expected


def test_mined_negatives_are_not_linked_by_duplicates(project: Path) -> None:
    (path,) = split_files(project / "data", "train", ("paraphrase/qqp",))
    gold = read_labelled(path, "paraphrase")
    balanced = balanced_questions(gold, Neighbours.of_cache(TeacherCache.open(project / "teacher")), 10, seed=0)
    cluster = clusters([pair for pair, same in zip(gold.texts, gold.paraphrase, strict=True) if same])
    negatives = [pair for pair, same in zip(balanced.texts, balanced.paraphrase, strict=True) if not same]
    assert len(negatives) > (gold.paraphrase == 0).sum()
    mined = negatives[int((gold.paraphrase == 0).sum()) :]
    assert all(cluster.get(left, left) != cluster.get(right, right) for left, right in mined)


def test_mining_finds_pairs_of_every_kind(project: Path) -> None:
    mine = Mine(project / "data", Neighbours.of_cache(TeacherCache.open(project / "teacher")), random.Random(0))
    kinds = (
        *(mine.exchanged, mine.captions, mine.caption_hypotheses, mine.other_hypotheses),
        *(mine.near_questions, mine.edits, mine.scored_sentences),
    )
    assert all(kind() for kind in kinds)
    pairs = mine.all(10_000)
    assert len(pairs) == len(set(pairs))
    assert all(left != right for left, right in pairs)
