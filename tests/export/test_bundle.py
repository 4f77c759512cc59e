"""From a seeded student to a verified bundle: what export writes is what the engine serves and torch computes."""

import copy
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from cmow.service.model.bundle import (
    ENCODER,
    ENTAILMENT,
    PARAPHRASE,
    PROJECTION,
    RELATEDNESS,
    SIMILARITY,
    WEIGHTS,
    Relatedness,
    load_bundle,
)
from cmow.service.model.composer import Composer
from cmow.service.model.engine import Engine, with_itself
from cmow.service.text.tokenizer import Tokenizer
from export.graphs.balance import balance_heads
from export.graphs.scoring import EncoderModel, EntailmentModel, ParaphraseModel, RelatednessModel, SimilarityModel
from export.to_onnx import ExportConfig
from export.work.to_onnx import GRAPHS, MAX_TOKENS, main
from export.work.verify import SCORE_BOUND, Check, verify
from tests.tiny_bundle import make_tiny_bundle, make_tokenizer
from tests.training.tiny_project import write_data
from training.bundle.base import load_base, load_base_projection
from training.bundle.from_bundle import read_projection
from training.bundle.pairs import Rules, load_calibration, load_pairs
from training.bundle.projection import save_projection
from training.bundle.rounding import quantise
from training.bundle.scorer import Calibration, Scorer
from training.data.files import DataError
from training.data.recipe import Recipe
from training.errors import OutputError
from training.student.model import CheckpointError, Student, StudentConfig, save_student
from training.student.pair_model import PairConfig, PairModel, load_pair_model, save_pair_model

VOCABULARY = make_tokenizer().get_vocab_size()


@pytest.fixture(scope="module")
def student() -> Student:
    torch.manual_seed(0)
    config = StudentConfig(vocab_size=VOCABULARY, similarity_dim=16, hidden_dim=32, paraphrase_dim=8, init_noise=0.1)
    return Student(config).eval()


@pytest.fixture(scope="module")
def pair_model() -> PairModel:
    torch.manual_seed(1)
    model = PairModel(PairConfig(VOCABULARY, width=32, key_dim=16, places=6, hidden_dim=24))
    nn.init.normal_(model.encoder.tokens)
    return model.eval()


@pytest.fixture(scope="module")
def runs(student: Student, pair_model: PairModel, tmp_path_factory: pytest.TempPathFactory) -> ExportConfig:
    """What the stages before the export leave behind."""
    folder = tmp_path_factory.mktemp("runs")
    save_student(student, folder / "student")
    make_tokenizer().save(str(folder / "student/tokenizer.json"))
    save_pair_model(pair_model, folder / "pair_heads")
    Recipe(commands=["train"]).write(folder / "pair_heads")
    return ExportConfig(folder / "student", folder / "pair_heads", out=folder / "bundle", max_tokens=512)


@pytest.fixture(scope="module", params=["int8", "float32"])
def config(
    request: pytest.FixtureRequest, runs: ExportConfig, tmp_path_factory: pytest.TempPathFactory
) -> ExportConfig:
    config = replace(runs, out=tmp_path_factory.mktemp("export") / "bundle", table_dtype=request.param)
    main(config)
    return config


@pytest.fixture(scope="module")
def bundle_folder(config: ExportConfig) -> Path:
    return config.out


@pytest.fixture(scope="module")
def scorer(runs: ExportConfig) -> Scorer:
    base = load_base(runs.base)
    scorer = Scorer(base.encoder, load_base_projection(runs.base), load_pair_model(runs.pair_heads)).eval()
    balance_heads(scorer, Tokenizer(base.tokenizer, MAX_TOKENS))
    return scorer


def test_data_bring_calibration_and_scores(runs: ExportConfig, tmp_path: Path) -> None:
    bare = replace(runs, out=tmp_path / "bare")
    scored = replace(runs, out=tmp_path / "scored", data=write_data(tmp_path / "data"))
    main(bare)
    main(scored)
    manifests = [load_bundle(config.out).manifest for config in (bare, scored)]
    assert [manifest.relatedness == Relatedness() for manifest in manifests] == [True, False]
    assert [manifest.paraphrase_threshold == 0.5 for manifest in manifests] == [True, False]
    without, found = (manifest.training.metrics for manifest in manifests)
    assert without == {}
    assert {"spearman", "relatedness_spearman"} <= found["similarity/stsb/dev.jsonl.gz"].keys()
    assert manifests[1].training.recipe == ["train", "python -m export.to_onnx --max-tokens 512 --data DATA"]


def test_data_of_one_task_calibrate_what_they_can(
    runs: ExportConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_data(tmp_path / "data")
    for folder in ("similarity", "paraphrase", "single", "text"):
        shutil.rmtree(data / folder)
    main(replace(runs, out=tmp_path / "scored", data=data))
    manifest = load_bundle(tmp_path / "scored").manifest
    assert manifest.training.metrics.keys() == {"nli/rte/dev.jsonl.gz", "nli/snli/dev.jsonl.gz"}
    said = capsys.readouterr().err
    assert "the probability and the threshold of paraphrases stay" in said
    assert "the weights of relatedness stay" in said


def test_a_bundle_that_is_there_is_kept_unless_it_is_to_be_replaced(runs: ExportConfig, tmp_path: Path) -> None:
    config = replace(runs, out=tmp_path / "bundle")
    main(config)
    before = {path.name: path.read_bytes() for path in config.out.iterdir()}
    with pytest.raises(OutputError, match="holds a bundle: take another --out, or --replace"):
        main(config)
    with pytest.raises(DataError, match="nowhere: expected a data folder, found none"):
        main(replace(config, replace=True, data=tmp_path / "nowhere"))
    with pytest.raises(CheckpointError, match="nobody: expected"):
        main(replace(config, replace=True, base=tmp_path / "nobody"))
    with pytest.raises(CheckpointError, match="expected a pair model"):
        main(replace(config, replace=True, pair_heads=tmp_path / "nobody"))
    assert {path.name: path.read_bytes() for path in config.out.iterdir()} == before
    main(replace(config, replace=True))
    assert (config.out / WEIGHTS).read_bytes() == before[WEIGHTS]


def test_a_bundle_can_be_exported_again(config: ExportConfig, tmp_path: Path) -> None:
    """Its int8 numbers come back; a scale may differ by its last digit."""
    main(replace(config, base=config.out, pair_heads=config.out, out=tmp_path / "again"))
    first, again = (Engine(load_bundle(folder)) for folder in (config.out, tmp_path / "again"))
    pairs = [("the man is playing guitar", "somebody makes music"), ("it rains", "a dog sleeps")]
    for task in ("similarity", "entailment", "paraphrase", "relatedness"):
        np.testing.assert_allclose(first.answer(task, pairs), again.answer(task, pairs), atol=SCORE_BOUND)


def test_every_implementation_agrees(bundle_folder: Path) -> None:
    checks = verify(load_bundle(bundle_folder))
    assert [str(check) for check in checks if not check.passed] == []
    assert sum("portable body" in check.name for check in checks) >= 5


def test_what_was_fitted_comes_back_of_a_bundle(runs: ExportConfig, tmp_path: Path) -> None:
    """And is kept where it is exported again without data; a run has nothing fitted."""
    main(replace(runs, out=tmp_path / "fitted", data=write_data(tmp_path / "data")))
    fitted = load_calibration(tmp_path / "fitted")
    assert fitted != load_calibration(runs.pair_heads) == (Calibration(), Rules())
    main(replace(runs, pair_heads=tmp_path / "fitted", out=tmp_path / "again"))
    assert load_calibration(tmp_path / "again") == fitted


def test_what_comes_back_of_a_bundle_is_near_what_went_in(
    bundle_folder: Path, pair_model: PairModel, scorer: Scorer
) -> None:
    back = load_pairs(bundle_folder)
    assert back.config == pair_model.config
    balances = {"entailment": scorer.entailment_balance, "same": scorer.same_balance}
    for name, values in pair_model.state_dict().items():
        head = name.split(".")[1]
        balance = balances[head] if name.endswith(f"{head}.0.weight") else torch.ones(())
        steps = balance * (values / balance).abs().max() / 63  # of seven bits, at most
        assert ((back.state_dict()[name] - values).abs() <= steps / 2 + 1e-3).all(), name


def test_a_bundle_of_another_kind_is_named(tmp_path: Path) -> None:
    bundle = make_tiny_bundle(tmp_path / "tiny")
    with pytest.raises(CheckpointError, match=r"expected the pair encoder that export\.to_onnx writes"):
        load_pairs(bundle.path)


def test_a_check_fails_above_its_bound_and_on_nan() -> None:
    assert Check("fine", 1e-6, 1e-5).passed
    assert not Check("large", 2e-5, 1e-5).passed
    assert not Check("broken", float("nan"), 1e-5).passed


@pytest.mark.parametrize(
    ("graph", "ops"),
    [
        (SIMILARITY, ["HybridEncode"]),
        (ENTAILMENT, ["HybridEncode", "EncodePairs"]),
        (PARAPHRASE, ["HybridEncode", "EncodePairs"]),
        (RELATEDNESS, ["HybridEncode", "EncodePairs"]),
        (ENCODER, ["HybridEncode"]),
    ],
)
def test_each_graph_has_one_encoder_node_and_the_documented_signature(
    bundle_folder: Path, graph: str, ops: list[str]
) -> None:
    model = onnx.load(bundle_folder / graph, load_external_data=False)
    assert [value.name for value in model.graph.input] == ["token_ids", "cu_seqlens", "pairs"][
        : 2 if graph == ENCODER else 3
    ]
    assert tuple(value.name for value in model.graph.output) == GRAPHS[graph][1]
    assert [node.op_type for node in model.graph.node if node.domain == "ai.cmow"] == ops
    assert [function.name for function in model.functions] == ops


def test_the_graphs_share_each_table(bundle_folder: Path) -> None:
    places = set()
    for graph in GRAPHS:
        model = onnx.load(bundle_folder / graph, load_external_data=False)
        (table,) = [tensor for tensor in model.graph.initializer if tensor.name.endswith("forward_deltas")]
        places.add(tuple((entry.key, entry.value) for entry in table.external_data))
    assert len(places) == 1
    assert ("location", WEIGHTS) in places.pop()


def test_the_graphs_say_nothing_of_the_machine_that_exported_them(bundle_folder: Path) -> None:
    for name in (*GRAPHS, PROJECTION):
        content = (bundle_folder / name).read_bytes()
        for trace in (str(Path(__file__).parent.parent.parent), "stack_trace", 'File "'):
            assert trace.encode() not in content


def test_the_engine_serves_what_torch_computes(bundle_folder: Path, scorer: Scorer) -> None:
    bundle = load_bundle(bundle_folder)
    engine = Engine(bundle)
    pairs = [("the man is playing guitar", "somebody makes music"), ("it rains", "a dog sleeps")]
    texts = [text for pair in pairs for text in pair]
    packed = engine.tokenizer.encode(texts)
    inputs = torch.from_numpy(packed.token_ids), torch.from_numpy(packed.cu_seqlens), torch.arange(4).view(2, 2)
    dtype = bundle.manifest.table_dtype
    with torch.no_grad():
        states = EncoderModel(scorer, dtype)(*inputs[:2])
        similarity, embeddings = SimilarityModel(scorer, dtype)(*inputs)
        expected = {
            "similarity": similarity,
            "entailment": EntailmentModel(scorer, dtype).eval()(*inputs),
            "paraphrase": ParaphraseModel(scorer, dtype).eval()(*inputs),
            "evidence": RelatednessModel(scorer, dtype).eval()(*inputs),
        }
    for task, values in expected.items():
        np.testing.assert_allclose(engine.answer(task, pairs), values, atol=SCORE_BOUND)
    np.testing.assert_allclose(engine.score("states", packed, with_itself(len(packed))), states, atol=1e-4)
    composer = Composer(engine)
    for state, embedding in zip(composer.states(packed), embeddings, strict=True):
        np.testing.assert_allclose(composer.embed(state), embedding, atol=SCORE_BOUND)


def test_int8_heads_stay_near_the_student(
    bundle_folder: Path, student: Student, scorer: Scorer, pair_model: PairModel
) -> None:
    """Against the models themselves, whose tables and heads are float32."""
    engine = Engine(load_bundle(bundle_folder))
    pairs = [("the man is playing guitar", "somebody makes music"), ("it rains", "a dog sleeps"), ("", "the dog")]
    packed = engine.tokenizer.encode([text for pair in pairs for text in pair])
    tokens = torch.from_numpy(packed.token_ids), torch.from_numpy(packed.cu_seqlens)
    rows = torch.arange(6).view(3, 2)
    with torch.no_grad():
        entailment, paraphrase, related = pair_model(student.encoder(*tokens), *tokens, rows)
        cosine = student(*tokens, rows).cosine
    np.testing.assert_allclose(engine.answer("similarity", pairs), cosine, atol=0.02)
    np.testing.assert_allclose(engine.answer("entailment", pairs), entailment.softmax(dim=1), atol=0.02)
    np.testing.assert_allclose(engine.answer("paraphrase", pairs), paraphrase.sigmoid(), atol=0.02)
    np.testing.assert_allclose(engine.answer("evidence", pairs)[:, 1], related.sigmoid(), atol=0.02)
    assert scorer.pairs.heads.entailment[0].weight.dtype == torch.float32  # export leaves the model as it was


def test_another_similarity_head_takes_the_place_of_the_base_s(runs: ExportConfig, tmp_path: Path) -> None:
    other = load_base_projection(runs.base)._replace(bias=torch.randn(16))
    save_projection(other, tmp_path / "head")
    Recipe(commands=["turn"]).write(tmp_path / "head")
    main(replace(runs, similarity=tmp_path / "head", out=tmp_path / "bundle"))
    bundle = load_bundle(tmp_path / "bundle")
    torch.testing.assert_close(read_projection(bundle).bias, other.bias)
    assert bundle.manifest.training.recipe[:2] == ["train", "turn"]


def test_calibration_moves_the_answers(runs: ExportConfig, scorer: Scorer, tmp_path: Path) -> None:
    known = copy.deepcopy(scorer)
    known.calibrate(Calibration(entailment_temperature=2.0, paraphrase_scale=0.5, paraphrase_shift=1.0))
    tokens = torch.arange(7) % VOCABULARY, torch.tensor([0, 4, 7]), torch.tensor([[0, 1]])
    with torch.no_grad():
        plain, moved = (EntailmentModel(each, "int8").eval()(*tokens).log() for each in (scorer, known))
        torch.testing.assert_close(moved.diff(), plain.diff() / 2, atol=1e-4, rtol=0)
        plain, moved = (ParaphraseModel(each, "int8").eval()(*tokens).logit() for each in (scorer, known))
        torch.testing.assert_close(moved, plain / 2 + 1, atol=1e-4, rtol=0)


def test_int8_rows_are_within_half_a_step() -> None:
    table = (
        torch.randn(50, 20, 20, generator=torch.Generator().manual_seed(1)) * torch.logspace(-6, 3, 50)[:, None, None]
    )
    table[7] = 0
    values, scales = map(torch.from_numpy, quantise(table.numpy()))
    restored = values.float() * scales[:, None, None]
    assert ((restored - table).abs().amax(dim=(1, 2)) <= scales * 0.5001).all()
    assert values.abs().max() == 127
