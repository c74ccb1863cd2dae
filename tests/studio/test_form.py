"""Configurations as fields, and back as overrides: whatever is edited, the configuration is what was meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from base.config import Config
from base.errors import BadInput
from studio import form


class Inner(Config):
    rate: float = 1e-3
    """Peak
    learning rate."""
    name: Literal["adamw", "muon"] = "adamw"


class Outer(Config):
    run: str
    """Name of the run."""
    steps: int = 10
    quiet: bool = False
    betas: tuple[float, float] = (0.9, 0.99)
    inner: Inner = Inner()
    other: Inner | None = None
    last: float | None = None


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "outer.yaml"
    path.write_text("run: one\n")
    return path


def edited(config: Outer, changes: dict[str, Any]) -> list[str]:
    known = list(form.fields(config))
    return form.overrides(known, [changes.get(field.key, field.value) for field in known])


def test_every_leaf_is_a_field_with_its_line_of_doc() -> None:
    found = {field.key: field for field in form.fields(Outer(run="one"))}
    assert {key: field.kind for key, field in found.items()} == {
        "run": "words", "steps": "number", "quiet": "switch", "betas": "yaml", "inner.rate": "number",
        "inner.name": "choice", "other": "yaml", "last": "yaml",
    }  # fmt: skip
    assert found["inner.rate"].doc == "Peak learning rate."
    assert found["inner.name"].choices == ("adamw", "muon")
    assert (found["betas"].value, found["other"].value) == ("[0.9, 0.99]", "null")
    assert list(form.grouped(iter(found.values()))) == ["", "inner"]


class Starting(Config):
    run: str
    start: str | None = None
    base: str | Inner = Inner()
    inner: Inner = Inner()


def test_the_model_to_start_from_is_chosen_by_name_in_place_of_what_stands_there(tmp_path: Path) -> None:
    (tmp_path / "starting.yaml").write_text("run: one\n")
    known = list(form.fields(Starting.load(tmp_path / "starting.yaml")))
    found = {field.key: field for field in known}
    assert [key for key, field in found.items() if field.kind == "model"] == ["start", "base"]
    chosen = {"start": "icons/teacher", "run": "2024-05-01"}
    changed = form.overrides(known, [chosen.get(field.key, field.value) for field in known])
    assert Starting.load(tmp_path / "starting.yaml", changed) == Starting(run="2024-05-01", start="icons/teacher")
    edits: dict[str, Any] = {"base": "models/pretrained/emoji/teacher", "base.rate": 2.0, "inner.rate": 3.0}
    changed = form.overrides(known, [edits.get(field.key, field.value) for field in known])
    assert changed == ["base=models/pretrained/emoji/teacher", "inner.rate=3.0"]
    assert Starting.load(tmp_path / "starting.yaml", changed).base == edits["base"]


def test_what_was_not_edited_is_no_override() -> None:
    assert edited(Outer(run="one", other=Inner()), {}) == []


def test_edits_come_back_as_the_configuration(file: Path) -> None:
    changes = {"run": "yes", "steps": 20.0, "inner.rate": 3e-5, "betas": "[0.0, 0.5]", "other": "{name: muon}"}
    config = Outer.load(file, edited(Outer.load(file), changes))
    assert config == Outer(run="yes", steps=20, inner=Inner(rate=3e-5), betas=(0.0, 0.5), other=Inner(name="muon"))


@given(run=st.text(min_size=1), rate=st.floats(allow_nan=False, allow_infinity=False), quiet=st.booleans())
def test_any_words_and_numbers_survive(
    tmp_path_factory: pytest.TempPathFactory, run: str, rate: float, quiet: bool
) -> None:
    file = tmp_path_factory.mktemp("any") / "outer.yaml"
    file.write_text(yaml.safe_dump({"run": "one"}))
    changes = {"run": run, "inner.rate": rate, "quiet": quiet}
    config = Outer.load(file, edited(Outer.load(file), changes))
    assert (config.run, config.inner.rate, config.quiet) == (run, rate, quiet)


@pytest.mark.parametrize(
    ("changes", "more", "message"),
    [
        ({"steps": 1.5}, "", "steps: .*got 1.5"),
        ({"steps": None}, "", "steps: .*got None"),
        ({"inner.name": "sgd"}, "", "inner.name: .*'adamw' or 'muon'"),
        ({}, "inner.rat=1", "unknown key 'rat'; did you mean 'rate'?"),
        ({}, "steps 3", "override 'steps 3' is not of the form key=value"),
        ({"betas": "[1"}, "", r"override .betas=\[1. is not valid YAML"),
    ],
)
def test_what_is_wrong_is_the_configuration_s_own_line(
    file: Path, changes: dict[str, Any], more: str, message: str
) -> None:
    known = list(form.fields(Outer.load(file)))
    with pytest.raises(BadInput, match=message) as refused:
        Outer.load(file, form.overrides(known, [changes.get(field.key, field.value) for field in known], more))
    assert "\n" not in str(refused.value)


def test_the_method_that_a_file_is_named_after_comes_first() -> None:
    names = {"attribute-judge": "", "decoder": "", "judge": "", "teacher": ""}
    assert form.best_match("tiny-decoder", names)[0] == "decoder"
    assert form.best_match("judge", names)[0] == "judge"
    assert sorted(form.best_match("anything", names)) == sorted(names)
