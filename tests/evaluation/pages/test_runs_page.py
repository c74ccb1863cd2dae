"""Runs side by side, and the charts they are drawn in."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from base.errors import BadInput
from evaluation import record
from evaluation.pages import runs_page, web_page
from evaluation.pages.chart import HEIGHT, INKS, MOST, WIDTH, chart
from evaluation.pages.sheet import Sheet
from tests.evaluation.pages.page_reader import fetched


@pytest.fixture
def two_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IPPO_RUNS", str(tmp_path))
    for name, rate in (("a/slow", 1e-4), ("a/fast", 1e-2)):
        folder = tmp_path / name
        (folder / "samples").mkdir(parents=True)
        figures = [{"step": step, "generator/total": math.exp(-rate * step)} for step in range(20, 400, 20)]
        figures += [{"step": 200, "validation/score": 0.25}, {"step": 400, "validation/score": 0.5}]
        if name == "a/fast":
            figures.append({"step": 400, "discriminator/total": 0.69})
        text = "".join(json.dumps(line) + "\n" for line in figures) + '{"step": 420, "genera'
        (folder / "metrics.jsonl").write_text(text)
        config = {"run": name, "data": "set", "optimizer": {"rate": rate, "betas": [0.9, 0.99]}}
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        for step in (20, 400):
            Image.fromarray(np.full((4, 8, 3), step % 256, np.uint8)).save(folder / "samples" / f"{step:06d}.png")
    return tmp_path


def test_two_runs_share_axes_and_show_what_differs(two_runs: Path, tmp_path: Path) -> None:
    file = runs_page.compare(["a/slow", "a/fast", "a/slow"], tmp_path / "out")
    page = file.read_text()
    assert fetched(page) == []
    assert re.findall(r'aria-label="([^"]*)"', page) == ["discriminator/total", "generator/total", "validation/score"]
    assert page.count("<polyline") == 1 + 2 + 2
    assert page.count("<img ") == 2
    found = [record.read(name) for name in ("a/slow", "a/fast")]
    assert record.differences(found).rows == [["optimizer.rate", "0.0001", "0.01"]]
    figures = {row[0]: row[1:] for row in record.figures(found).rows}
    assert figures["steps"] == ["400", "400"]
    assert figures["validation/score, least"] == ["0.25 at step 200"] * 2
    assert figures["discriminator/total"] == ["", "0.69"]
    assert found[0].sample is not None and found[0].sample.name == "000400.png"


def test_a_run_keeps_its_colour_where_another_has_no_curve(two_runs: Path) -> None:
    shown = chart("discriminator/total", {"a/slow": (), "a/fast": [(400, 0.69)]})
    assert INKS[1] in shown and INKS[0] not in shown and "a/fast" in shown


def test_what_is_no_run_is_refused(two_runs: Path) -> None:
    with pytest.raises(BadInput, match="is no run"):
        runs_page.compare(["a/slow", "nowhere"], two_runs / "out")
    assert not (two_runs / "out").exists()
    (two_runs / "empty").mkdir()
    (two_runs / "empty" / "metrics.jsonl").write_text("")
    with pytest.raises(BadInput, match="has logged no metrics yet"):
        record.read("empty")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), min_size=1, max_size=600))
def test_every_finite_curve_stays_inside_its_chart(values: list[float]) -> None:
    drawn = chart("any", {"one": list(enumerate(values))})
    if not any(map(math.isfinite, values)):
        assert drawn == ""
        return
    places = [tuple(map(float, pair.split(","))) for pair in re.findall(r'points="([^"]*)"', drawn)[0].split()]
    assert 1 <= len(places) <= MOST
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in places)


def test_a_steep_curve_gets_a_logarithmic_axis() -> None:
    ticks = re.findall(r">([^<>]+)</text>", chart("steep", {"one": [(0, 1e-3), (1, 1.0), (2, 10.0)]}))
    assert {"0.001", "0.01", "0.1", "1", "10"} <= set(ticks)
    assert "0.01" not in re.findall(r">([^<>]+)</text>", chart("flat", {"one": [(0, 1.0), (1, 2.0)]}))


def test_words_of_users_cannot_become_markup() -> None:
    rude = '<script>alert("x")</script>'
    page = web_page.page(rude, rude, [
        web_page.section(
            rude, web_page.paragraph(rude), web_page.bullets([rude]), web_page.table(Sheet(rude, [rude], [[rude]]))
        ),
        web_page.picture(Image.new("RGB", (2, 2)), rude), web_page.charts({rude: {rude: [(0, 1)], "b": [(1, 2)]}}),
    ])  # fmt: skip
    assert fetched(page) == []
    assert "<script" not in page
