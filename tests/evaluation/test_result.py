"""A result: its page, its JSON, and figures beside their bars."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaluation.pages.sheet import Sheet
from evaluation.result import Bar, Result, bars_result, markdown, publish


def test_a_bar_knows_its_bounds() -> None:
    assert Bar("shown", 3.0).met
    assert Bar("ratio", 4.0, least=4).met and not Bar("ratio", 3.9, least=4).met
    assert Bar("seconds", 5.0, most=5).met and not Bar("seconds", 5.1, most=5).met
    assert Bar("between", 1.2, 0.85, 1.15).cells() == ["between", "1.2", ">= 0.85 and <= 1.15", "missed"]


def test_it_is_written_and_its_figures_are_the_last_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bars = [Bar("÷ peer", 1.0, least=2)]
    publish(bars_result("Some bars", bars, {"rounds": 3}, {"more": [1]}), tmp_path / "out" / "run-0.5")
    said = capsys.readouterr()
    figures = json.loads(said.out.splitlines()[-1])
    assert figures["bars"] == [{"what": "÷ peer", "value": 1.0, "least": 2, "most": None, "met": False}]
    saved = json.loads((tmp_path / "out" / "run-0.5.json").read_text())
    assert saved["more"] == [1] and saved["machine"]["cores"] >= 1 and saved["rounds"] == 3
    page = (tmp_path / "out" / "run-0.5.md").read_text()
    assert page.strip() == said.err.strip() and "| ÷ peer | 1 | >= 2 | missed |" in page


def test_a_page_leaves_out_what_is_empty_and_names_its_charts() -> None:
    sheets = [Sheet("Times", ["what", "ms"], [["a", "1"]]), Sheet("Nothing", ["what"], [])]
    page = markdown(Result("Title", sheets, {}, charts={"generator/total": {}}), "stem")
    assert page.startswith("# Title") and "## Times" in page and "Nothing" not in page
    assert page.endswith("![generator/total](stem-generator-total.svg)\n")
