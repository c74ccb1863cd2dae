"""Configuration: overrides, unknown keys with the nearest name, one line for every mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from base.config import Config
from base.errors import BadInput


class Inner(Config):
    rate: float = 1.0


class Outer(Config):
    name: str
    inner: Inner = Inner()
    either: str | Inner = "plain"


def write(folder: Path, text: str) -> Path:
    file = folder / "config.yaml"
    file.write_text(text)
    return file


def test_overrides_reach_inner_keys_and_are_yaml(tmp_path: Path) -> None:
    config = Outer.load(write(tmp_path, "name: a\ninner: {rate: 2}\n"), ["inner.rate=1e-3", "name=b"])
    assert config == Outer(name="b", inner=Inner(rate=1e-3))


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
    ],
)
def test_every_mistake_is_one_clear_line(tmp_path: Path, text: str, overrides: list[str], message: str) -> None:
    with pytest.raises(BadInput, match=message) as caught:
        Outer.load(write(tmp_path, text), overrides)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no configuration file .*nowhere\.yaml"):
        Outer.load(tmp_path / "nowhere.yaml")
