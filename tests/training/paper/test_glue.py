"""The tasks end to end on tiny data: every configuration learns, resumes alike, and refuses what does not fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

from cmow.service.text.tokenizer import PackedTokens
from tests.tiny_bundle import make_tokenizer
from tests.training.tiny_project import (
    assert_close,
    killed_and_resumed,
    labelled,
    metrics,
    run_in_two_processes,
    scored,
    sentences,
    write_bert,
    write_data,
    write_rows,
)
from training.data.files import NLI_LABELS, PARAPHRASE_LABELS, DataError
from training.data.identity import Identity
from training.errors import StaleError, TeacherError
from training.loop.parallel import Processes
from training.paper.classifier import Classifier, embedding_columns, join_pairs
from training.paper.glue import PRESETS, GlueConfig, read_config
from training.paper.glue_table import GlueTableConfig
from training.paper.scores import folds, scores
from training.paper.task_teacher import load_outputs, save_outputs, teacher_outputs
from training.paper.tasks import TASKS, TWO_WAY, Examples, read_split, splits
from training.student.model import CheckpointError, HybridEncoder, Student, StudentConfig, save_student
from training.student.vocabulary import VocabularyError
from training.teachers.cross_encoder import PairTeacher
from training.work.paper.glue import run_task, teacher_identity
from training.work.paper.glue_table import Result, main, read_results, table

ALONE, CPU = Processes(), torch.device("cpu")


def write_student(folder: Path) -> Path:
    torch.manual_seed(0)
    tokenizer = make_tokenizer()
    tokenizer.add_special_tokens(["[SEP]"])
    config = StudentConfig(tokenizer.get_vocab_size(), matrix_dim=4, vector_dim=8, hidden_dim=8, init_noise=0.1)
    save_student(Student(config), folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def acceptable_with_a_guitar(count: int, seed: int) -> list[dict[str, object]]:
    """Single sentences whose label one word gives away."""
    rows = enumerate(sentences(count, seed))
    ends = ("dog", "guitar")
    return [{"sentence1": f"{text} {ends[row % 2]}", "label": TASKS["cola"].labels[row % 2]} for row, text in rows]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("glue")
    data = write_data(folder / "data")
    for seed, split in enumerate(("train", "dev")):
        write_rows(data / f"single/cola/{split}.jsonl.gz", acceptable_with_a_guitar(30, seed))
    write_student(folder / "student")
    return folder


@pytest.fixture(scope="module")
def config(project: Path) -> GlueConfig:
    return GlueConfig(
        task="cola",
        data=project / "data",
        student=project / "student",
        out=project / "cola",
        hidden_dim=32,
        epochs=12,
        batch=10,
        matrix_lr=1e-2,
        vector_lr=3e-2,
        head_lr=3e-2,
        checkpoint_steps=12,
    )


@pytest.fixture(scope="module")
def result(config: GlueConfig) -> Result:
    return run_task(config, ALONE)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(folder / "resume.pt", weights_only=True)["model"]
    return state


def test_a_task_is_learned_logged_and_written(config: GlueConfig, result: Result) -> None:
    first, *_, last = metrics(config.folder)
    assert last["loss"] < first["loss"]
    assert result.metrics["matthews"] == last["matthews"] > 0.5
    assert (result.rows, result.evaluated) == (30, "dev")
    assert json.loads((config.folder / "result.json").read_text()) == asdict(result)


def test_a_killed_task_resumes_to_the_same_result(config: GlueConfig, result: Result, tmp_path: Path) -> None:
    again = replace(config, out=tmp_path)
    assert killed_and_resumed(lambda: run_task(again, ALONE), saves=1) == result
    for name, expected in weights(config.folder).items():
        assert torch.equal(weights(tmp_path)[name], expected), name


def test_two_processes_come_to_the_result_of_one(config: GlueConfig, tmp_path: Path) -> None:
    undropped = replace(config, dropout=0.0, token_dropout=0.0, epochs=2, out=tmp_path / "one")
    whole = run_task(undropped, ALONE)  # what is dropped is drawn by each process for itself
    run_in_two_processes("training.paper.glue", replace(undropped, out=tmp_path / "two"))
    assert_close(weights(tmp_path / "one"), weights(tmp_path / "two"))
    assert json.loads((tmp_path / "two/result.json").read_text())["metrics"] == pytest.approx(whole.metrics, abs=1e-3)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_runs_on_pairs(project: Path, tmp_path: Path, preset: str) -> None:
    options = ["--task", "snli", "--data", project / "data", "--student", project / "student", "--out", tmp_path]
    options += ["--preset", preset, "--batch", 10, "--epochs", 1]
    chosen = read_config(list(map(str, options)))
    wanted = PRESETS[preset]
    assert (chosen.encoder, chosen.diffcat, chosen.scratch) == (wanted.encoder, wanted.diffcat, wanted.scratch)
    found = run_task(chosen, ALONE)
    assert 0 <= found.metrics["accuracy"] <= 1
    state, begun = weights(tmp_path), Identity.read(tmp_path / "run.json")
    assert begun is not None
    assert begun.options["preset"] == preset
    parts = {"cbow": 8, "cmow": 16, "hybrid": 24}.get(preset, 40)
    assert state["head.1.weight"].shape == (
        3 if wanted.hidden_dim == 0 else 1000,
        parts * (3 if wanted.diffcat else 1),
    )


def test_options_override_presets_and_tasks_have_epochs_of_their_own() -> None:
    options = ["--task", "cola", "--data", "x", "--preset", "cbow"]
    assert read_config(options).epochs == TASKS["cola"].epochs
    assert read_config(options).folder == Path("runs/glue/cola")
    overridden = read_config([*options, "--encoder", "hybrid", "--hidden_dim", "7", "--epochs", "2"])
    assert (overridden.encoder, overridden.hidden_dim, overridden.epochs) == ("hybrid", 7, 2)
    with pytest.raises(DataError, match="--preset: expected one of paper, cbow"):
        read_config([*options[:4], "--preset", "huge"])
    with pytest.raises(DataError, match="--task: expected one of cola, sst2"):
        read_config(["--task", "squad", "--data", "x"])


def test_left_out_tables_get_no_gradient() -> None:
    encoder = HybridEncoder(StudentConfig(vocab_size=9, matrix_dim=3, vector_dim=4, init_noise=0.1))
    tokens = torch.tensor([1, 2, 3, 4]), torch.tensor([0, 3, 4])
    used = {"cbow": {"vectors"}, "cmow": {"forward_deltas"}, "hybrid": {"vectors", "forward_deltas"}}
    for name, tables in used.items():
        model = Classifier(encoder, name, diffcat=True, hidden_dim=0, outputs=2, dropout=0.0)  # type: ignore[arg-type]
        model(*tokens).sum().backward()
        for part, parameter in encoder.named_parameters():
            assert parameter.grad is not None
            assert bool(parameter.grad.to_dense().any()) == (part in tables), (name, part)
        encoder.zero_grad(set_to_none=True)
    assert embedding_columns(encoder, "bidirectional") == slice(0, 22)


def test_diffcat_is_the_papers() -> None:
    torch.manual_seed(0)
    encoder = HybridEncoder(StudentConfig(vocab_size=9, matrix_dim=3, vector_dim=4, init_noise=0.1))
    model = Classifier(encoder, "bidirectional", diffcat=True, hidden_dim=0, outputs=2, dropout=0.0)
    u, v = (encoder(torch.tensor(ids), torch.tensor([0, len(ids)]))[0] for ids in ([1, 2], [3]))
    expected = model.head(torch.cat([u, v, (u - v).abs()]))
    torch.testing.assert_close(model(torch.tensor([1, 2, 3]), torch.tensor([0, 2, 3]))[0], expected)


def test_joint_encoding_puts_the_separator_between_the_texts() -> None:
    pairs = PackedTokens(np.arange(6), np.array([0, 2, 3, 3, 6]), np.array([False, True, False, False]))
    joined = join_pairs(pairs, 99)
    assert joined.token_ids.tolist() == [0, 1, 99, 2, 99, 3, 4, 5]
    assert joined.cu_seqlens.tolist() == [0, 4, 8]
    assert joined.truncated.tolist() == [True, False]


def test_joint_encoding_needs_a_separator(config: GlueConfig, tmp_path: Path) -> None:
    for name in ("config.json", "student.safetensors"):
        (tmp_path / name).write_bytes((config.student / name).read_bytes())
    make_tokenizer().save(str(tmp_path / "tokenizer.json"))
    other = replace(config, task="snli", student=tmp_path, diffcat=False, out=tmp_path / "run")
    with pytest.raises(VocabularyError, match=r"expected \[SEP\]"):
        run_task(other, ALONE)


def test_a_task_without_dev_rows_is_cross_validated(config: GlueConfig, tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_rows(data / "paraphrase/mrpc/train.jsonl.gz", labelled(PARAPHRASE_LABELS, 24, 6))
    train, dev = splits("mrpc", data)
    assert dev is None
    parts = list(folds(TASKS["mrpc"], train.targets, 4, seed=0))
    assert sorted(np.concatenate([held_out for _, held_out in parts]).tolist()) == list(range(24))
    assert all(sorted([*rest, *held_out]) == list(range(24)) for rest, held_out in parts)
    assert all(train.targets[held_out].sum() == 3 for _, held_out in parts)
    out = tmp_path / "run"
    found = run_task(replace(config, task="mrpc", data=data, folds=4, epochs=1, batch=5, out=out), ALONE)
    assert found.evaluated == "4 folds of train"
    each = [metrics(out / f"fold-{number}")[-1] for number in range(4)]
    for metric in ("accuracy", "f1"):
        assert found.metrics[metric] == pytest.approx(np.mean([fold[metric] for fold in each]), abs=1e-3)


def test_scores_are_regressed_on_their_scale(config: GlueConfig, tmp_path: Path) -> None:
    write_rows(
        tmp_path / "similarity/sick/train.jsonl.gz",
        [{**row, "score": 1 + 4 * (n % 2)} for n, row in enumerate(scored(20, 1))],
    )
    write_rows(tmp_path / "similarity/sick/dev.jsonl.gz", [{**row, "score": 3} for row in scored(4, 2)])
    train, dev = (read_split("sick-r", tmp_path, split) for split in ("train", "dev"))
    assert train is not None
    assert dev is not None
    assert train.targets.tolist() == [0, 1] * 10
    assert dev.targets.tolist() == [0.5] * 4
    stsb = run_task(replace(config, task="stsb", epochs=1, batch=4, out=tmp_path / "run"), ALONE)
    assert set(stsb.metrics) == {"spearman", "pearson"}


def test_metrics_by_hand() -> None:
    logits = np.array([[2.0, 1.0], [0.0, 1.0], [0.0, 1.0], [3.0, 1.0]])
    assert scores(TASKS["mrpc"], logits, np.array([0, 1, 0, 0])) == {"accuracy": 0.75, "f1": 0.6667}
    assert scores(TASKS["cola"], logits, np.array([0, 1, 1, 0]))["matthews"] == 1
    assert scores(TASKS["stsb"], np.array([[0.1], [0.2], [0.9]]), np.array([0.3, 0.4, 0.5]))["spearman"] == 1


def write_classifier(folder: Path, labels: tuple[str, ...]) -> Path:
    torch.manual_seed(1)
    names = dict(enumerate(labels))
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    size = make_tokenizer().get_vocab_size()
    bert = BertConfig(vocab_size=size, id2label=names, label2id={name: row for row, name in names.items()}, **shape)
    BertForSequenceClassification(bert).save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=make_tokenizer(), pad_token="[PAD]").save_pretrained(folder)
    return folder


def test_a_classifiers_labels_go_by_name(tmp_path: Path) -> None:
    task, pairs = TASKS["snli"], Examples([("a man", "the dog"), ("it rains", "a man is playing")], np.zeros(2))
    shuffled = (NLI_LABELS[2], NLI_LABELS[0], NLI_LABELS[1])
    named = teacher_outputs(str(write_classifier(tmp_path / "named", shuffled)), task, pairs, CPU, 64)
    unnamed = write_classifier(tmp_path / "unnamed", ("LABEL_0", "LABEL_1", "LABEL_2"))
    numbered = teacher_outputs(str(unnamed), task, pairs, CPU, 64)  # the same weights
    np.testing.assert_array_equal(named, numbered[:, [1, 2, 0]])


def test_distillation_follows_the_teacher(config: GlueConfig, result: Result, tmp_path: Path) -> None:
    teacher = str(write_classifier(tmp_path / "teacher", TASKS["cola"].labels))
    taught = run_task(replace(config, teacher=teacher, alpha=1.0, temperature=1.0, out=tmp_path / "run"), ALONE)
    path = tmp_path / "run/teacher.npz"
    identity = teacher_identity(replace(config, teacher=teacher))
    kept = load_outputs(path, identity, (30, 2))
    examples = read_split("cola", config.data, "train")
    assert examples is not None
    np.testing.assert_array_equal(kept, teacher_outputs(teacher, TASKS["cola"], examples, CPU, 128))
    assert taught.teacher_metrics == scores(TASKS["cola"], kept, examples.targets)
    first, *_, last = metrics(tmp_path / "run")
    assert last["loss"] < first["loss"]
    save_outputs(path, identity, kept[:-1])
    with pytest.raises(TeacherError, match=r"expected outputs \(30, 2\), found \(29, 2\)"):
        run_task(replace(config, teacher=teacher, out=tmp_path / "run"), ALONE)
    save_outputs(path, teacher_identity(replace(config, teacher="another")), kept)
    with pytest.raises(StaleError, match=r"others: --teacher was another, is .*teacher; .*config.json is new"):
        run_task(replace(config, teacher=teacher, out=tmp_path / "run"), ALONE)


def test_the_pair_teacher_judges_every_kind_of_pair(tmp_path: Path) -> None:
    write_bert(tmp_path / "bert")
    teacher = PairTeacher.pretrained(str(tmp_path / "bert"), 64)
    teacher.save(tmp_path / "pairs")
    texts: list[tuple[str, ...]] = [("a man", "the dog"), ("it rains", "a man is playing")]
    pairs = Examples(texts, np.zeros(2))
    judged = PairTeacher.load(tmp_path / "pairs").judge([("a man", "the dog"), ("it rains", "a man is playing")])

    def outputs(task: str) -> np.ndarray:
        return teacher_outputs(str(tmp_path / "pairs"), TASKS[task], pairs, CPU, 64)

    np.testing.assert_array_equal(outputs("mnli"), judged.entailment)
    probabilities = np.exp(judged.entailment) / np.exp(judged.entailment).sum(axis=1, keepdims=True)
    two_way = np.exp(outputs("rte"))
    np.testing.assert_allclose(two_way[:, 0] / two_way.sum(axis=1), probabilities[:, 0], rtol=1e-5)
    np.testing.assert_array_equal(outputs("wnli"), outputs("rte")[:, ::-1])
    assert TASKS["wnli"].labels == TWO_WAY[::-1]
    np.testing.assert_array_equal(outputs("qqp")[:, 1], judged.paraphrase)
    assert ((outputs("stsb") > 0) & (outputs("stsb") < 1)).all()
    with pytest.raises(TeacherError, match="expected one of single sentences for single/cola"):
        outputs("cola")


def test_a_run_with_other_options_is_not_gone_on_with(config: GlueConfig, result: Result) -> None:
    with pytest.raises(StaleError, match=r"--seed was 0, is 5"):
        run_task(replace(config, seed=5), ALONE)


def unknown_label(folder: Path) -> dict[str, Any]:
    write_rows(folder / "data/single/cola/train.jsonl.gz", [{"sentence1": "a", "label": "fine"}])
    return {"data": folder / "data"}


def score_beyond_the_scale(folder: Path) -> dict[str, Any]:
    write_rows(folder / "data/similarity/stsb/train.jsonl.gz", [*scored(3, 1), {**scored(1, 1)[0], "score": 7}])
    return {"task": "stsb", "data": folder / "data"}


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        (lambda folder: {"student": folder}, CheckpointError, r"expected config.json and student.safetensors"),
        (
            lambda folder: {"task": "qnli"},
            DataError,
            r"qnli: expected .*nli/qnli/train\*, found none; --data nyu-mll/glue",
        ),
        (lambda folder: {"batch": 64}, DataError, r"expected at least 64 training rows \(one batch\), found 30"),
        (lambda folder: {"teacher": str(folder)}, TeacherError, r"expected weights \(\*.safetensors or \*.bin\)"),
        (
            lambda folder: {"teacher": str(write_classifier(folder / "three", NLI_LABELS))},
            TeacherError,
            "expected 2 outputs for single/cola, found 3",
        ),
        (
            lambda folder: {"teacher": str(write_bert(folder / "headless"))},
            TeacherError,
            r"expected all weights of a sequence classifier, found none for \['class",
        ),
        (unknown_label, DataError, r"expected a label of unacceptable, acceptable, found 'fine'"),
        (score_beyond_the_scale, DataError, r"expected a score from 0 to 5, found 7"),
    ],
)
def test_what_does_not_fit_is_named(
    config: GlueConfig,
    tmp_path: Path,
    options: Callable[[Path], dict[str, Any]],
    error: type[Exception],
    says: str,
) -> None:
    with pytest.raises(error, match=says):
        run_task(replace(config, out=tmp_path / "run", **options(tmp_path)), ALONE)


def test_an_unknown_task_is_named() -> None:
    with pytest.raises(DataError, match="--task: expected one of"):
        read_config(["--task", "squad", "--data", "x"])


def test_the_table_stands_beside_the_published_numbers(
    config: GlueConfig, result: Result, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, written in (
        ("cola", Result("cola", "paper", "dev", 8551, {"matthews": 0.1234, "accuracy": 0.7})),
        ("cbow", Result("cola", "cbow", "dev", 8551, {"matthews": 0.05, "accuracy": 0.69}, "bert")),
        ("sick", Result("sick-r", "paper", "dev", 4470, {"spearman": 0.8, "pearson": 0.81})),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "result.json").write_text(json.dumps(asdict(written)))
    main(GlueTableConfig(tmp_path))
    lines = capsys.readouterr().out.splitlines()
    assert lines[2:] == [
        "| cola | cbow + teacher | 8,551 | dev | matthews / accuracy | 5.0 / 69.0 | 16.7 | 51.3 |",
        "| cola | paper | 8,551 | dev | matthews / accuracy | 12.3 / 70.0 | 16.7 | 51.3 |",
        "| sick-r | paper | 4,470 | dev | spearman / pearson | 80.0 / 81.0 | - | - |",
    ]
    assert read_results(config.folder) == [result]
    with pytest.raises(DataError, match=r"expected result.json of training.paper.glue below this folder"):
        table(tmp_path / "absent")
    (tmp_path / "cola/result.json").write_text("{")
    with pytest.raises(DataError, match=r"expected a result of training.paper.glue"):
        table(tmp_path)
