"""The configurations that ship for full-size bases can be read, and ask for combinations that can train."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.recipe import RecipeConfig
from training.student.student_config import StudentConfig
from training.teacher_config import TeacherConfig

CONFIGS = Path(__file__).parents[2] / "configs"
SETS = ("naruto", "pokemon")


@pytest.mark.parametrize("file", [file for name in SETS for file in sorted((CONFIGS / name).glob("*.yaml"))], ids=str)
def test_they_parse(file: Path) -> None:
    kind = StudentConfig if "student" in file.stem else TeacherConfig
    config = kind.load(file)
    assert config.run.split("/")[0] == config.data == file.parent.name


def test_the_students_teachers_are_made_by_their_neighbours() -> None:
    for name in SETS:
        runs = {TeacherConfig.load(file).run for file in (CONFIGS / name).glob("*.yaml") if "student" not in file.stem}
        assert {StudentConfig.load(file).teacher for file in (CONFIGS / name).glob("*student*.yaml")} <= runs


@pytest.mark.parametrize("file", sorted((CONFIGS / "data").glob("*.yaml")), ids=str)
def test_recipes_parse(file: Path) -> None:
    assert RecipeConfig.load(file).name
