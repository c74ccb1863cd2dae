"""The order of a folder's stages: each after those whose runs it names, whatever the files are called."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from base.errors import BadInput
from base.shipped import ROOT
from training.configured_line import ORDER, ConfiguredStage, _ordered, check_sets, last_run, stages
from training.launch import METHODS


def write(folder: Path, **files: dict[str, object]) -> Path:
    for stem, values in files.items():
        (folder / f"{stem.replace('_', '-')}.yaml").write_text(yaml.safe_dump(values))
    return folder


def test_a_line_of_several_students_ends_with_the_one_that_no_other_needs(tmp_path: Path) -> None:
    write(
        tmp_path, image_student={"run": "a/zwei", "teacher": "a/eins"}, image_teacher={"run": "a/eins"},
        text_student={"run": "a/drei", "base": {"from": "a/zwei"}}, tiny_decoder={"run": "a/d", "student": "a/zwei"},
        decoder={"run": "a/c"}, context_clip={"run": "a/clip"}, notes={"run": "a/none"},
    )  # fmt: skip
    line = stages(tmp_path)
    assert [(stage.method, stage.run) for stage in line] == [
        ("context-clip", "a/clip"), ("teacher", "a/eins"), ("decoder", "a/c"), ("student", "a/zwei"),
        ("decoder", "a/d"), ("student", "a/drei"),
    ]  # fmt: skip
    assert (last_run(line, "student"), last_run(line, "decoder"), last_run(line, "clip")) == ("a/drei", "a/d", None)


def test_where_a_file_is_called_student_others_are_left_alone() -> None:
    for name in ("emoji", "emoji-mini", "naruto"):
        line = stages(ROOT / "configs" / name)
        assert [stage.file.stem for stage in line] == [stage.method for stage in line]
        assert last_run(line, "student") == f"{name}/student"
    assert set(ORDER) == set(METHODS)


def test_stages_in_a_circle_are_refused(tmp_path: Path) -> None:
    write(tmp_path, student={"run": "a", "teacher": "b"}, teacher={"run": "b", "base": "a"})
    with pytest.raises(BadInput, match=r"teacher\.yaml, student\.yaml need each other"):
        stages(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("run: [", "is not valid YAML"),
        ("- run", "names no run"),
        ("run: ../x", r"run: '\.\./x' leads out of"),
        ("run: a/student\ndata: nowhere", "there is no image set 'nowhere'"),
    ],
)
def test_a_stage_that_cannot_start_is_told_before_the_first(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "student.yaml").write_text(text)
    with pytest.raises(BadInput, match=said) as error:
        check_sets(stages(tmp_path))
    assert "\n" not in str(error.value)


@given(st.permutations(range(6)), st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5))))
def test_no_stage_comes_before_one_that_it_needs(places: list[int], pairs: set[tuple[int, int]]) -> None:
    needs = {stage: {f"r{low}" for low, high in pairs if high == stage and low < high} for stage in range(6)}
    line = [ConfiguredStage("teacher", Path(f"{i}"), f"r{i}", frozenset({f"r{i}", *needs[i]})) for i in places]
    done: set[str] = set()
    for stage in _ordered(list(line)):
        assert needs[int(stage.run[1:])] <= done
        done.add(stage.run)
    assert len(done) == 6
