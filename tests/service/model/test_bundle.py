from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cmow.service.errors import BundleError
from cmow.service.model.bundle import ENTAILMENT, FILES, file_entry, load_bundle, read_manifest, write_manifest
from tests.tiny_bundle import TinyBundle


@pytest.fixture
def path(tiny_bundle: TinyBundle, tmp_path: Path) -> Path:
    """A copy of the tiny bundle, to be damaged."""
    return Path(shutil.copytree(tiny_bundle.path, tmp_path / "copy"))


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Apply ``change`` to the manifest as JSON."""
    manifest = json.loads((path / "manifest.json").read_text())
    change(manifest)
    (path / "manifest.json").write_text(json.dumps(manifest))


def test_a_good_bundle(path: Path, tiny_bundle: TinyBundle) -> None:
    bundle = load_bundle(path)
    assert bundle.manifest == tiny_bundle.load().manifest
    write_manifest(path, bundle.manifest)
    assert read_manifest(path) == bundle.manifest


def test_file_entry(tmp_path: Path) -> None:
    """The digest is the example of FIPS 180-2, appendix B.1."""
    (tmp_path / "abc").write_bytes(b"abc")
    entry = file_entry(tmp_path / "abc")
    assert entry.bytes == 3
    assert entry.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"expected a bundle folder at .*/nowhere, found nothing"):
        load_bundle(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(BundleError, match="found a file"):
        load_bundle(tmp_path / "file")


@pytest.mark.parametrize("name", sorted(FILES | {"manifest.json"}))
def test_no_file(path: Path, name: str) -> None:
    (path / name).unlink()
    with pytest.raises(BundleError, match=f"expected a .*{name}"):
        load_bundle(path)


def test_a_folder_in_place_of_a_file(path: Path) -> None:
    (path / ENTAILMENT).unlink()
    (path / ENTAILMENT).mkdir()
    with pytest.raises(BundleError, match="found a folder"):
        load_bundle(path)


@pytest.mark.parametrize("name", sorted(FILES))
def test_another_size(path: Path, name: str) -> None:
    size = (path / name).stat().st_size
    with (path / name).open("ab") as file:
        file.write(b"!")
    with pytest.raises(BundleError, match=rf"{name}: expected {size} bytes, found {size + 1}"):
        load_bundle(path, verify_hashes=False)


@pytest.mark.parametrize("name", sorted(FILES))
def test_another_content(path: Path, name: str) -> None:
    content = bytearray((path / name).read_bytes())
    content[len(content) // 2] ^= 1
    (path / name).write_bytes(content)
    with pytest.raises(BundleError, match=rf"{name}: expected sha256 [0-9a-f]{{64}}, found [0-9a-f]{{64}}"):
        load_bundle(path)
    load_bundle(path, verify_hashes=False)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"null"])
def test_a_manifest_that_is_none(path: Path, content: bytes) -> None:
    (path / "manifest.json").write_bytes(content)
    with pytest.raises(BundleError, match=r"manifest\.json: content: expected .*, found "):
        load_bundle(path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda m: m.update(format_version=2), "format_version: expected 4, found 2$"),
        (lambda m: m.update(format_version=1, extra=1), r"format_version: expected 4, found 1 \(and 1 more\)$"),
        (lambda m: m.pop("name"), "name: expected a value, found none$"),
        (lambda m: m.update(extra=1), "extra: expected no field of this name, found 1$"),
        (lambda m: m["dims"].update(extra=1), r"dims\.extra: expected no field of this name, found 1$"),
        (
            lambda m: m.update(table_dtype="int4"),
            "table_dtype: expected 'float32' or 'float16' or 'int8', found 'int4'$",
        ),
        (lambda m: m.update(labels=["entailment", "neutral"]), r"labels: .*expected \[.*\] in any order, found \["),
        (lambda m: m.update(labels=["neutral"] * 3), "labels: .*found"),
        (lambda m: m.update(max_tokens=0), "max_tokens: expected int >= 1, found 0$"),
        (lambda m: m.update(paraphrase_threshold=2), "paraphrase_threshold: expected float <= 1.0, found 2$"),
        (lambda m: m.pop("relatedness"), "relatedness: expected a value, found none$"),
        (lambda m: m["relatedness"].update(cosine="much"), r"relatedness\.cosine: expected float, found 'much'$"),
        (lambda m: m["relatedness"].update(angle=1), r"relatedness\.angle: expected no field of this name, found 1$"),
        (lambda m: m.update(created="yesterday"), "created: expected RFC3339 .*, found 'yesterday'$"),
        (lambda m: m["dims"].update(embedding_dim=1), r"dims: .*expected embedding_dim = .* = 1200, found 1"),
        (lambda m: m["files"].pop(ENTAILMENT), "files: .*expected exactly .*found"),
        (lambda m: m["files"].update({"../secret": m["files"].pop(ENTAILMENT)}), r"files: .*found \['\.\./secret'"),
        (lambda m: m["files"].update({"/etc/passwd": m["files"][ENTAILMENT]}), "files: .*found .*/etc/passwd"),
        (
            lambda m: m["files"][ENTAILMENT].update(sha256="0" * 63),
            r"files\.entailment\.onnx\.sha256: expected str matching .*, found '0+'$",
        ),
        (
            lambda m: m["files"][ENTAILMENT].update(bytes=-1),
            r"files\.entailment\.onnx\.bytes: expected int >= 0, found -1$",
        ),
    ],
)
def test_a_wrong_manifest(path: Path, change: Callable[[dict[str, Any]], object], says: str) -> None:
    edit(path, change)
    with pytest.raises(BundleError, match=says):
        load_bundle(path)
