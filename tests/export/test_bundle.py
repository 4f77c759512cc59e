"""From a seeded student to a verified bundle: what export writes is what the engine serves and torch computes."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from export.ops.tables import quantise
from export.scoring import ScoringModel
from export.to_onnx import INPUTS, OUTPUTS, ExportConfig, export_bundle
from export.verify import Check, verify
from service.bundle import MODEL, PROJECTION, WEIGHTS, TableDtype, load_bundle
from service.composer import Composer
from service.engine import Engine
from service.scheduler import anything
from tests.tiny_bundle import make_tokenizer
from training.recipe import Recipe
from training.student import Student, StudentConfig


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


def test_every_implementation_agrees(bundle_folder: Path) -> None:
    checks = verify(load_bundle(bundle_folder))
    assert [str(check) for check in checks if not check.passed] == []
    assert sum("portable body" in check.name for check in checks) >= 5


def test_a_check_fails_above_its_bound_and_on_nan() -> None:
    assert Check("fine", 1e-6, 1e-5).passed
    assert not Check("large", 2e-5, 1e-5).passed
    assert not Check("broken", float("nan"), 1e-5).passed


def test_the_graph_has_one_encoder_node_and_the_documented_signature(bundle_folder: Path) -> None:
    model = onnx.load(load_bundle(bundle_folder).model_path, load_external_data=False)
    assert tuple(value.name for value in model.graph.input) == INPUTS
    assert tuple(value.name for value in model.graph.output) == OUTPUTS
    assert [node.op_type for node in model.graph.node if node.domain == "ai.cmow"] == ["HybridEncode", "AlignPairs"]
    assert [function.name for function in model.functions] == ["HybridEncode", "AlignPairs"]
    tables = {tensor.name: tensor for tensor in model.graph.initializer if tensor.name == "forward_deltas"}
    assert tables["forward_deltas"].data_location == onnx.TensorProto.EXTERNAL


def test_the_model_says_nothing_of_the_machine_that_exported_it(bundle_folder: Path) -> None:
    for name in (MODEL, PROJECTION):
        content = (bundle_folder / name).read_bytes()
        for trace in (str(Path(__file__).parent.parent.parent), "stack_trace", 'File "'):
            assert trace.encode() not in content


def test_the_engine_serves_what_torch_computes(bundle_folder: Path, student: Student) -> None:
    bundle = load_bundle(bundle_folder)
    engine = Engine(bundle)
    pairs = [("the man is playing guitar", "somebody makes music"), ("it rains", "a dog sleeps")]
    packed = engine.tokenizer.encode([text for pair in pairs for text in pair])
    index = torch.arange(4).view(2, 2)
    with torch.no_grad():
        tokens = torch.from_numpy(packed.token_ids), torch.from_numpy(packed.cu_seqlens)
        model = ScoringModel(student, bundle.manifest.table_dtype).eval()
        embeddings, similarity, entailment, paraphrase, states = model(
            *tokens, torch.arange(4), index, index, index, *tokens
        )
    np.testing.assert_allclose(engine.similarity(pairs), similarity, atol=1e-5)
    np.testing.assert_allclose(engine.entailment(pairs), entailment, atol=1e-5)
    np.testing.assert_allclose(engine.paraphrase(pairs), paraphrase, atol=1e-5)
    np.testing.assert_allclose(engine.states(packed), states, atol=1e-4)
    composer = Composer(engine)
    composer.require()
    texts = [text for pair in pairs for text in pair]
    for state, embedding in zip(composer.states(texts, anything), embeddings, strict=True):
        np.testing.assert_allclose(composer.embed(state), embedding, atol=1e-5)


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
