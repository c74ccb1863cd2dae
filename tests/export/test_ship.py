"""What ships: whole, within its bytes, with a card that stays once a person has written it."""

from __future__ import annotations

from pathlib import Path

import pytest

from base import shipped
from base.errors import BadInput
from export import ship as ships
from metrics import judge_network
from metrics.judge_network import Judge, JudgeConfig
from runtime.bundle import open_bundle


@pytest.fixture
def parts(tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Judge and figures; models ship into a folder of the test's own."""
    monkeypatch.setattr(shipped, "PRETRAINED", tmp_path / "pretrained")
    judge_network.save(Judge(JudgeConfig(labels=4, channels=(8, 8), width=8)), tmp_path / "judge")
    (tmp_path / "quality").mkdir()
    (tmp_path / "quality" / "quality.md").write_text("| FD |\n| --- |\n| 1 |\n")
    (tmp_path / "quality" / "page.html").write_text("not shipped")
    return tmp_path / "judge", tmp_path / "quality"


def test_all_of_it_is_there_and_opens(parts: tuple[Path, Path], tiny_bundle: Path) -> None:
    out = ships.ship("icons", open_bundle(tiny_bundle), *parts, tiny_bundle, None)
    open_bundle(out / "student")
    judge_network.load(out / "judge")
    assert sorted(file.name for file in out.iterdir()) == ["README.md", "judge", "quality", "student"]
    assert [file.name for file in (out / "quality").iterdir()] == ["quality.md"]
    card = (out / "README.md").read_text()
    assert "| FD |" in card and "ippo serve --bundle models/pretrained/icons/student" in card
    assert "`unet/diffusion_pytorch_model.safetensors` " in card
    (out / "README.md").write_text("A person's own.\n")
    ships.ship("icons", open_bundle(tiny_bundle), *parts, None, None)
    assert (out / "README.md").read_text() == "A person's own.\n"


def test_too_many_bytes_change_nothing(
    parts: tuple[Path, Path], tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    emoji = shipped.PRETRAINED / "emoji"
    emoji.mkdir(parents=True)
    (emoji / "weights").write_bytes(b"0" * 1000)
    out = ships.ship("icons", open_bundle(tiny_bundle), *parts, None, "emoji")
    whole = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    monkeypatch.setattr(ships, "ALL", whole + 500)
    ships.ship("icons", open_bundle(tiny_bundle), *parts, None, "emoji")
    with pytest.raises(BadInput, match=r"icons: all that ships would have .* MB; accepted"):
        ships.ship("icons", open_bundle(tiny_bundle), *parts, None, None)
    monkeypatch.setattr(ships, "BUNDLE", 10)
    with pytest.raises(BadInput, match="the bundle would have"):
        ships.ship("icons", open_bundle(tiny_bundle), *parts, None, "emoji")
    open_bundle(out / "student")
