"""Packaged teachers found by name: parts that are joined and unpacked once, and what is said where one is missing."""

from __future__ import annotations

import io
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from training.errors import TeacherError
from training.teachers import packaged
from training.teachers.encoder import resolve_teacher
from training.teachers.packaged import NOTE, PACKAGED, Module, Parts, packaged_teacher, unpacked

WEIGHTS = bytes(range(256)) * 40
FILES = {"model/config.json": b"{}", "model/model.safetensors": WEIGHTS, "model/1_Pooling/config.json": b""}
TINY = Parts("tiny.zip", ("tiny-part-001", "tiny-part-002", "tiny-part-003"), "0.0.1")


def install(site: Path, package: str, version: str, file: str, content: bytes) -> None:
    """A package as pip leaves it: its file, and metadata that name the file with its size."""
    place = f"{package}_files/input/{file}"
    (site / place).parent.mkdir(parents=True, exist_ok=True)
    (site / place).write_bytes(content)
    info = site / f"{package.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    (info / "RECORD").write_text(f"{place},,{len(content)}\n")


def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        for name, content in FILES.items():
            zipped.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    site = tmp_path / "site"
    site.mkdir()
    content = archive()
    third = len(content) // 3
    for part, package in enumerate(TINY.packages):
        stop = None if part == 2 else (part + 1) * third
        install(site, package, "0.0.1", f"tiny.zip.{part + 1:03}", content[part * third : stop])
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setitem(PACKAGED, "tiny", TINY)
    return site


def test_a_name_is_a_folder_with_the_joined_model(site: Path, tmp_path: Path) -> None:
    folder = Path(resolve_teacher("tiny"))
    assert folder == tmp_path / "cache/cmow/teachers/tiny-0.0.1"
    assert {path.name for path in folder.iterdir()} == {"config.json", "model.safetensors", NOTE}
    assert (folder / "config.json").read_bytes() == b"{}"
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS


def test_it_is_unpacked_once_and_outlives_the_packages(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = packaged_teacher("tiny")
    monkeypatch.setattr(packaged, "installed_parts", lambda *asked: pytest.fail("looked for the parts again"))
    assert packaged_teacher("tiny") == folder


def test_a_damaged_folder_is_unpacked_again(site: Path) -> None:
    weights = packaged_teacher("tiny") / "model.safetensors"
    weights.write_bytes(b"short")
    packaged_teacher("tiny")
    assert weights.read_bytes() == WEIGHTS


def test_a_killed_unpacking_leaves_nothing_that_is_taken_for_the_model(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(packaged, "model_files", killed)
        with pytest.raises(KeyboardInterrupt):
            packaged_teacher("tiny")
    assert not (tmp_path / "cache/cmow/teachers/tiny-0.0.1").exists()
    assert (packaged_teacher("tiny") / "config.json").is_file()
    assert not list(tmp_path.glob("cache/cmow/teachers/*.partial"))


def test_several_at_once_get_the_same_folder(site: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        folders = list(pool.map(lambda _: unpacked("tiny", TINY, tmp_path / "shared"), range(8)))
    assert len(set(folders)) == 1


def test_missing_parts_are_named_with_the_command(site: Path) -> None:
    (site / "tiny-part-002_files/input/tiny.zip.002").write_bytes(b"cut")
    (site / "tiny_part_003-0.0.1.dist-info").rename(site / "gone")
    message = r"expected its 3 packages, 2 not .*: pip install .* tiny-part-002==0\.0\.1 tiny-part-003==0\.0\.1$"
    with pytest.raises(TeacherError, match=message):
        packaged_teacher("tiny")


def test_another_version_of_a_part_is_not_taken(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PACKAGED, "tiny", TINY._replace(version="0.0.2"))
    with pytest.raises(TeacherError, match=r"3 not installed or damaged: .*tiny-part-001==0\.0\.2"):
        packaged_teacher("tiny")


def test_parts_that_are_no_archive_are_named(site: Path) -> None:
    part = site / "tiny-part-003_files/input/tiny.zip.003"
    part.write_bytes(bytes(part.stat().st_size))
    with pytest.raises(TeacherError, match=r"tiny: expected a zip file in 3 parts"):
        packaged_teacher("tiny")


def test_a_missing_module_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PACKAGED, "tiny", Module("no_such_module", "no-such-module==1.0"))
    with pytest.raises(TeacherError, match=r"tiny: not installed: pip install no-such-module==1\.0"):
        packaged_teacher("tiny")
