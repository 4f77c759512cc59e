"""From a seeded student to a verified bundle: what export writes is what the engine serves and torch computes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from cmow.service.model.bundle import (
    ENCODER,
    ENTAILMENT,
    PARAPHRASE,
    PROJECTION,
    SIMILARITY,
    WEIGHTS,
    Relatedness,
    TableDtype,
    load_bundle,
)
from cmow.service.model.composer import Composer
from cmow.service.model.engine import Engine, with_itself
from export.graphs.scoring import EncoderModel, EntailmentModel, ParaphraseModel, SimilarityModel
from export.ops.tables import quantise
from export.to_onnx import GRAPHS, ExportConfig, export_bundle, main
from export.verify import SCORE_BOUND, Check, verify
from tests.tiny_bundle import make_tokenizer
from tests.training.tiny_project import write_data
from training.data.recipe import Recipe
from training.student.model import Student, StudentConfig, save_student


@pytest.fixture(scope="module")
def student() -> Student:
    torch.manual_seed(0)
    config = StudentConfig(
        vocab_size=make_tokenizer().get_vocab_size(), similarity_dim=16, hidden_dim=32, paraphrase_dim=8, init_noise=0.1
    )
    return Student(config).eval()


@pytest.fixture(scope="module", params=["int8", "float32"])
def bundle_folder(request: pytest.FixtureRequest, student: Student, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    make_tokenizer().save(str(folder / "source.json"))
    dtype: TableDtype = request.param
    config = ExportConfig(out=folder / "bundle", table_dtype=dtype, max_tokens=512)
    export_bundle(student, folder / "source.json", config, Recipe(commands=["train"]))
    return config.out


def test_data_bring_weights_of_relatedness_and_scores(student: Student, tmp_path: Path) -> None:
    save_student(student, tmp_path / "run")
    make_tokenizer().save(str(tmp_path / "run/tokenizer.json"))
    bare = ExportConfig(tmp_path / "run", tmp_path / "bare")
    scored = ExportConfig(tmp_path / "run", tmp_path / "scored", data=write_data(tmp_path / "data"))
    main(bare)
    main(scored)
    manifests = [load_bundle(config.out).manifest for config in (bare, scored)]
    assert [manifest.relatedness == Relatedness() for manifest in manifests] == [True, False]
    without, found = (manifest.training.metrics for manifest in manifests)
    assert without == {}
    assert {"spearman", "relatedness_spearman"} <= found["similarity/stsb/dev.jsonl.gz"].keys()
    assert manifests[1].training.recipe == ["python -m export.to_onnx --data DATA"]


def test_bad_data_leave_the_bundle_that_was_there(student: Student, tmp_path: Path) -> None:
    save_student(student, tmp_path / "run")
    make_tokenizer().save(str(tmp_path / "run/tokenizer.json"))
    config = ExportConfig(tmp_path / "run", tmp_path / "bundle")
    main(config)
    before = {path.name: path.read_bytes() for path in config.out.iterdir()}
    with pytest.raises(SystemExit, match="nowhere: expected a data folder, found none"):
        main(replace(config, data=tmp_path / "nowhere"))
    assert {path.name: path.read_bytes() for path in config.out.iterdir()} == before
    with pytest.raises(SystemExit, match="error: "):
        main(replace(config, student=tmp_path / "nobody"))


def test_every_implementation_agrees(bundle_folder: Path) -> None:
    checks = verify(load_bundle(bundle_folder))
    assert [str(check) for check in checks if not check.passed] == []
    assert sum("portable body" in check.name for check in checks) >= 5


def test_a_check_fails_above_its_bound_and_on_nan() -> None:
    assert Check("fine", 1e-6, 1e-5).passed
    assert not Check("large", 2e-5, 1e-5).passed
    assert not Check("broken", float("nan"), 1e-5).passed


@pytest.mark.parametrize(
    ("graph", "ops"),
    [
        (SIMILARITY, ["HybridEncode"]),
        (ENTAILMENT, ["HybridEncode", "AlignPairs"]),
        (PARAPHRASE, ["HybridEncode", "AlignPairs"]),
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


def test_the_engine_serves_what_torch_computes(bundle_folder: Path, student: Student) -> None:
    bundle = load_bundle(bundle_folder)
    engine = Engine(bundle)
    pairs = [("the man is playing guitar", "somebody makes music"), ("it rains", "a dog sleeps")]
    texts = [text for pair in pairs for text in pair]
    packed = engine.tokenizer.encode(texts)
    inputs = torch.from_numpy(packed.token_ids), torch.from_numpy(packed.cu_seqlens), torch.arange(4).view(2, 2)
    dtype = bundle.manifest.table_dtype
    with torch.no_grad():
        states = EncoderModel(student, dtype)(*inputs[:2])
        similarity, embeddings = SimilarityModel(student, dtype)(*inputs)
        entailment = EntailmentModel(student, dtype).eval()(*inputs)
        paraphrase = ParaphraseModel(student, dtype).eval()(*inputs)
    np.testing.assert_allclose(engine.answer("similarity", pairs), similarity, atol=SCORE_BOUND)
    np.testing.assert_allclose(engine.answer("entailment", pairs), entailment, atol=SCORE_BOUND)
    np.testing.assert_allclose(engine.answer("paraphrase", pairs), paraphrase, atol=SCORE_BOUND)
    np.testing.assert_allclose(engine.score("states", packed, with_itself(len(packed))), states, atol=1e-4)
    composer = Composer(engine)
    for state, embedding in zip(composer.states(packed), embeddings, strict=True):
        np.testing.assert_allclose(composer.embed(state), embedding, atol=SCORE_BOUND)


def test_int8_heads_stay_near_the_student(bundle_folder: Path, student: Student) -> None:
    """Against the student itself, whose tables and heads are float32."""
    engine = Engine(load_bundle(bundle_folder))
    pairs = [("the man is playing guitar", "somebody makes music"), ("it rains", "a dog sleeps"), ("", "the dog")]
    packed = engine.tokenizer.encode([text for pair in pairs for text in pair])
    tokens = torch.from_numpy(packed.token_ids), torch.from_numpy(packed.cu_seqlens)
    with torch.no_grad():
        expected = student(*tokens, torch.arange(6).view(3, 2))
    np.testing.assert_allclose(engine.answer("similarity", pairs), expected.cosine, atol=0.02)
    np.testing.assert_allclose(engine.answer("entailment", pairs), expected.entailment.softmax(dim=1), atol=0.02)
    np.testing.assert_allclose(engine.answer("paraphrase", pairs), expected.paraphrase.sigmoid(), atol=0.02)


def test_exporting_again_replaces_the_bundle(bundle_folder: Path, student: Student) -> None:
    before = load_bundle(bundle_folder).manifest
    config = ExportConfig(out=bundle_folder, table_dtype=before.table_dtype, max_tokens=512)
    source = bundle_folder.parent / "source.json"
    export_bundle(student, source, config, Recipe(commands=["train"]))
    after = load_bundle(bundle_folder).manifest
    assert after.files[WEIGHTS] == before.files[WEIGHTS]
    assert student.entailment_head.hidden.weight.dtype == torch.float32  # export leaves the student as it was


def test_int8_rows_are_within_half_a_step() -> None:
    table = (
        torch.randn(50, 20, 20, generator=torch.Generator().manual_seed(1)) * torch.logspace(-6, 3, 50)[:, None, None]
    )
    table[7] = 0
    values, scales = map(torch.from_numpy, quantise(table.numpy()))
    restored = values.float() * scales[:, None, None]
    assert ((restored - table).abs().amax(dim=(1, 2)) <= scales * 0.5001).all()
    assert values.abs().max() == 127
