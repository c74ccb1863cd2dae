"""Configuration: overrides, unknown keys with the nearest name, one line for every mistake."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from base.config import Config
from base.errors import BadInput


class Inner(Config):
    rate: float = 1.0


class Weighed(Config):
    number_is = "weight"
    weight: float = 1.0
    network: str


class Outer(Config):
    name: str
    weighed: Weighed | None = None
    inner: Inner = Inner()
    either: str | Inner = "plain"
    maybe: str | None = None
    names: list[str] = []
    by_name: dict[str, list[str]] = {}
    choice: Literal["no", "bf16"] = "bf16"
    number: float | str = 1.0
    anything: dict[str, Any] = {}


def write(folder: Path, text: str) -> Path:
    file = folder / "config.yaml"
    file.write_text(text)
    return file


def test_overrides_reach_inner_keys_and_are_yaml(tmp_path: Path) -> None:
    config = Outer.load(write(tmp_path, "name: a\ninner: {rate: 2}\n"), ["inner.rate=1e-3", "name=b"])
    assert config == Outer(name="b", inner=Inner(rate=1e-3))


def test_a_number_over_keys_sets_the_one_it_stands_for(tmp_path: Path) -> None:
    file = write(tmp_path, "name: a\nweighed: {network: dino}\n")
    assert Outer.load(file, ["weighed=0.5"]).weighed == Weighed(weight=0.5, network="dino")
    with pytest.raises(BadInput, match=r"weighed\.network: Field required"):
        Outer.load(file, ["weighed=0"])  # nothing of it is left
    with pytest.raises(BadInput, match="weighed: accepted are keys and their values, got True"):
        Outer.load(file, ["weighed=true"])


def test_written_and_read_again_is_the_same(tmp_path: Path) -> None:
    config = Outer(name="x", either=Inner(rate=3))
    config.write(tmp_path / "again.yaml")
    assert Outer.load(tmp_path / "again.yaml") == config
    assert [path.name for path in tmp_path.iterdir()] == ["again.yaml"]


@pytest.mark.parametrize(
    ("text", "overrides", "message"),
    [
        ("name: a\nnmae: b\n", [], "unknown key 'nmae'; did you mean 'name'?"),
        ("name: a\ninner: {rte: 1}\n", [], "unknown key 'rte'; did you mean 'rate'?"),
        ("name: a\neither: {rte: 1}\n", [], "unknown key 'rte'"),
        ("name: a\ninner: {rate: fast}\n", [], "inner.rate: .*number, got 'fast'"),
        ("name: [\n", [], "not valid YAML"),
        ("- a\n", [], "mapping"),
        ("name: a\n", ["inner"], "not of the form key=value"),
        ("name: a\n", ["name.x=1"], "no keys below"),
        ("inner: {}\n", [], "name: Field required"),
        ("name: a\n\tb: 1\n", [], "not valid YAML, line 2: found character"),
        ("name: a\ninner: {rate: 1}\nname: b\n", [], "not valid YAML, line 3: key 'name' stands twice"),
        ("name: a\nnames: &x [*x]\n", [], "not valid YAML, line 2: found unconstructable recursive node"),
        ("name: a\ninner: &x {rate: *x}\n", [], "not valid YAML, line 2: found unconstructable recursive node"),
        ("name: @a\n", [], "not valid YAML: found character '@'"),
        ("name: !!python/object:os.system x\n", [], "not valid YAML"),
        ("name: a\n", ["inner.rate=["], r"override 'inner.rate=\[' is not valid YAML"),
        ("name: a\n", ["names=[@x]"], "is not valid YAML: found character '@'"),
        ("name: a\n", ["inner.rate=" + "[" * 3000], "is not valid YAML"),
        ("name: a\n", ["name="], "name: .*valid string, got None"),
    ],
)
def test_every_mistake_is_one_clear_line(tmp_path: Path, text: str, overrides: list[str], message: str) -> None:
    with pytest.raises(BadInput, match=message) as caught:
        Outer.load(write(tmp_path, text), overrides)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "typed",
    [
        "2024-05-01",
        "no",
        "null",
        "12:30",
        "007",
        "1e3",
        "[a]/b",
        "{a}/b",
        "@home",
        "*.png",
        "a #2",
        "a: b",
        "C:\\new",
        "%x",
        "!x",
    ],
)
def test_where_text_is_wanted_what_was_typed_counts(tmp_path: Path, typed: str) -> None:
    config = Outer.load(
        write(tmp_path, "name: a\n"), [f"name={typed}", f"either={typed}" if typed != "a: b" else "either=x"]
    )
    assert config.name == typed
    assert config.either == (typed if typed != "a: b" else "x")
    config.write(tmp_path / "again.yaml")
    assert Outer.load(tmp_path / "again.yaml") == config


@settings(max_examples=100, deadline=None)
@given(typed=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20))
def test_any_text_is_itself(tmp_path_factory: pytest.TempPathFactory, typed: str) -> None:
    file = write(tmp_path_factory.getbasetemp(), "name: a\n")
    wanted = typed.strip()
    assume(wanted and wanted[0] not in "'\"")
    assert Outer.load(file, [f"name={typed}"]).name == wanted


def test_quotation_marks_are_yamls(tmp_path: Path) -> None:
    config = Outer.load(write(tmp_path, "name: a\n"), ["name='no'", 'either="a\\tb"'])
    assert (config.name, config.either) == ("no", "a\tb")


def test_text_inside_lists_and_mappings_and_files_is_as_typed(tmp_path: Path) -> None:
    text = "name: 2024-05-01\nnames: [no, 1, x]\nby_name: {on: [off]}\nchoice: no\nanything: {a: 1, no: 2024-01-01}\n"
    config = Outer.load(write(tmp_path, text), ["number=3", "maybe=null"])
    assert (config.name, config.names, config.by_name) == ("2024-05-01", ["no", "1", "x"], {"on": ["off"]})
    assert (config.choice, config.number, config.maybe) == ("no", 3.0, None)
    assert config.anything == {"a": 1, "no": "2024-01-01"}


def test_a_file_that_is_no_text_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_bytes(b"\xff\xfen\x00")
    with pytest.raises(BadInput, match="no UTF-8 text"):
        Outer.load(tmp_path / "config.yaml")


def test_a_folder_says_which_configurations_it_holds(tmp_path: Path) -> None:
    for name in ("teacher.yaml", "student.yaml"):
        (tmp_path / name).write_text("size: 1\n")
    with pytest.raises(BadInput, match=r"is a folder: give one of student\.yaml, teacher\.yaml$"):
        Outer.load(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no configuration file .*nowhere\.yaml"):
        Outer.load(tmp_path / "nowhere.yaml")
