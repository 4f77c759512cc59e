"""What pair models stand upon, of a student's run: the same encoder and the same embeddings."""

from pathlib import Path

import pytest
import torch
from torch import nn

from tests.tiny_bundle import make_tokenizer
from training.bundle.base import load_base, load_base_projection
from training.data.recipe import Recipe
from training.student.heads import Standardise
from training.student.model import CheckpointError, Student, StudentConfig, save_student


@pytest.fixture
def student() -> Student:
    torch.manual_seed(0)
    student = Student(StudentConfig(vocab_size=9, similarity_dim=16, hidden_dim=8, paraphrase_dim=8, init_noise=0.1))
    for _ in range(30):  # so that the standardisation is not that of a new head
        student.paraphrase_head.standardise(2 * torch.randn(64, student.config.embedding_dim) + 1)
    return student.eval()


@pytest.fixture
def run(student: Student, tmp_path: Path) -> Path:
    save_student(student, tmp_path)
    make_tokenizer().save(str(tmp_path / "tokenizer.json"))
    Recipe(commands=["finetune"]).write(tmp_path)
    return tmp_path


@torch.no_grad()
def test_a_student_s_run(run: Path, student: Student) -> None:
    base, projection = load_base(run), load_base_projection(run)
    tokens = torch.tensor([1, 5, 3, 8, 2]), torch.tensor([0, 2, 5])
    states = base.encoder(*tokens)
    torch.testing.assert_close(states, student.encoder(*tokens))
    found = projection.head()(projection.standardise(states))
    torch.testing.assert_close(found, student.embed(*tokens), atol=1e-5, rtol=0)
    assert base.tokenizer.exists()
    assert base.recipe.commands == ["finetune"]


def test_a_folder_without_either_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"expected config\.json and student\.safetensors"):
        load_base(tmp_path)


def test_standardising_is_what_a_batch_norm_has_learned() -> None:
    torch.manual_seed(0)
    trained = nn.BatchNorm1d(70, affine=False)
    inputs = torch.randn(64, 70) * torch.logspace(-2, 2, 70) + torch.arange(70.0)
    for _ in range(50):
        trained(inputs)
    torch.testing.assert_close(Standardise.of(trained)(inputs), trained.eval()(inputs))
