"""Recipes name every option that matters and no path of the machine that ran them."""

from pathlib import Path

import pytest

from cmow.service.errors import BundleError
from cmow.service.model.bundle import Source
from training.data.recipe import Recipe, command_line
from training.distill import DistillConfig


def test_paths_become_placeholders_and_defaults_stay_out() -> None:
    config = DistillConfig(data=Path("/home/me/data"), teacher_cache=Path("t"), out=Path("o"), epochs=3)
    expected = "python -m training.distill --data DATA --epochs 3"
    assert command_line("training.distill", config) == expected


def test_recipes_chain_and_a_resumed_stage_is_named_once(tmp_path: Path) -> None:
    assert Recipe.read(tmp_path) == Recipe()
    text = Source(name="text", licence="CC BY-SA 3.0", reference="somewhere")
    Recipe().then("one", [text]).write(tmp_path)
    for _ in range(2):
        Recipe.read(tmp_path).then("two", [text]).write(tmp_path)
    assert Recipe.read(tmp_path) == Recipe(commands=["one", "two"], sources=[text])


def test_a_file_that_is_no_recipe(tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_text('{"commands": "one"}')
    with pytest.raises(BundleError, match=r"recipe\.json: commands: expected array, found 'one'"):
        Recipe.read(tmp_path)
