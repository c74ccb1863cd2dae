"""The latency benchmark on a tiny bundle and its tiny teacher; no figure is asserted, only what follows from figures."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from base.errors import BadInput
from benchmarks.latency import speedup as latency
from benchmarks.latency import speedup_page as page
from benchmarks.latency.cases import SPLIT, STOCK, Settings, body, ceiling, stock_cases, student_cases, teacher_cases
from benchmarks.latency.result import HTTP, STAGES, Overhead, Result, pick
from benchmarks.latency.speedup import measure, write
from evaluation import machine
from evaluation.clock import Case, Timing, interleaved
from models import folder
from models.reduce import reduced
from runtime.bundle import open_bundle
from tests import tiny


def timing(stage: str, by: str, batch: int, *rounds: float) -> Timing:
    middle = sorted(rounds)[len(rounds) // 2]
    return Timing(stage, by, batch, middle, min(rounds), max(rounds), max(rounds), min(rounds), len(rounds), rounds)


def result() -> Result:
    stages = tuple(timing(stage, "ort", 1, 1.0, 2.0, 3.0) for stage in (*STAGES, "image as PNG"))
    images = (
        timing("image", "teacher, threads 1", 1, 900.0, 1000.0, 1200.0),
        timing("image", "teacher, threads 2", 1, 1900.0, 2000.0, 2200.0),
        timing("image", "ort", 1, 9.0, 10.0, 8.0),
        timing("image", "eager", 1, 30.0, 40.0, 50.0),
    )
    overhead = Overhead(timing(HTTP, "one client", 1, 6.5), timing("image as PNG", "ort", 1, 5.0))
    settings = {"teacher steps": 50}
    hardware = machine.hardware()
    return Result(
        "2026-01-01", hardware, machine.versions(), (0.1, 0.2), settings, {"ratio": 40.0}, stages + images, overhead
    )


def test_cases_take_turns_and_every_call_is_counted() -> None:
    calls: list[str] = []
    cases = [Case("a", "x", 1, lambda: calls.append("a")), Case("b", "x", 1, lambda: calls.append("b"))]
    first, second = interleaved(cases, rounds=3, seconds=0.0)
    assert (first.stage, second.stage) == ("a", "b")
    assert len(first.rounds) == 3 and first.calls == 9
    assert calls.count("a") == 1 + 3 * (1 + 3) == calls.count("b")
    turns = [name for place, name in enumerate(calls) if place == 0 or calls[place - 1] != name]
    assert len(turns) >= 4  # not all of a, then all of b
    assert first.least <= first.p25 <= first.median <= first.p75 <= first.p90


def test_the_ratio_takes_both_at_their_best() -> None:
    (found,) = result().ratios
    assert (found.teacher.by, found.student.by) == ("teacher, threads 1", "ort")
    assert found.ratio == pytest.approx(1000 / 9)
    assert (found.low, found.high) == (100.0, 150.0)
    assert result().overhead and result().overhead.milliseconds == 1.5  # type: ignore[union-attr]


def test_page_and_plot(tmp_path: Path) -> None:
    text = page.markdown(result())
    assert "**111** (100 to 150)" in text and "**1.50 ms**" in text and "ratio of 40" in text
    assert "Over HTTP" not in page.markdown(replace(result(), overhead=None))
    page.plot(result(), tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_a_whole_run_on_tiny_networks(tiny_bundle: Path, tmp_path: Path) -> None:
    folder.save(tiny.teacher(), tmp_path / "teacher")
    settings = Settings(steps=2, guidance=2.0, batches=(1, 2))
    found = measure(open_bundle(tiny_bundle), tmp_path / "teacher", settings, 2, 0.0, url=None, http=False)
    stages = {(found.stage, found.batch) for found in found.timings}
    assert stages == {(stage, batch) for stage in (*STAGES, "image", SPLIT, "image as PNG") for batch in (1, 2)}
    assert all(timing.least > 0 for timing in found.timings)
    text = page.markdown(found)
    assert f"| 2 | {STOCK} | " in text and "| split graphs, ort | fused graph, ort |" in text
    summary = json.loads(write(found, tmp_path))
    assert "\n" not in write(found, tmp_path)
    assert [ratio["batch"] for ratio in summary["ratios"]] == [1, 2]
    saved = json.loads((tmp_path / "latency.json").read_text())
    assert saved["hardware"]["cores"] >= 1 and saved["versions"]["torch"]
    assert len(saved["timings"]) == len(found.timings)


def test_the_ceiling_counts_the_teachers_passes(tmp_path: Path) -> None:
    folder.save(tiny.teacher(), tmp_path / "teacher")
    teacher = folder.load(tmp_path / "teacher")
    few, many = (ceiling(teacher, teacher, Settings(steps, 2.0, (1,)))["ratio"] for steps in (1, 50))
    unguided = ceiling(teacher, teacher, Settings(50, 1.0, (1,)))["ratio"]
    assert 1 < few < 2 < unguided < many < 100
    assert ceiling(teacher, teacher, Settings(1, 1.0, (1,)))["ratio"] == pytest.approx(1)
    small = tiny.teacher()
    small.denoiser = reduced(small.denoiser, {"mid_block_type": None})
    assert ceiling(teacher, small, Settings(1, 1.0, (1,)))["ratio"] > 1.05


def test_teacher_and_student_draw_what_they_are_timed_for(tiny_bundle: Path, tmp_path: Path) -> None:
    folder.save(tiny.teacher(), tmp_path / "teacher")
    settings = Settings(steps=1, guidance=2.0, batches=(3,))
    (case,) = teacher_cases(folder.load(tmp_path / "teacher"), settings, [1])
    assert case.run().shape == (3, 16, 16, 3)  # type: ignore[attr-defined]
    cases = list(student_cases(open_bundle(tiny_bundle), (3,), ["ort"]))
    shapes = {case.stage: getattr(case.run(), "shape", None) for case in cases}
    assert shapes["image"] == (3, 16, 16, 3)
    assert shapes["denoiser"] == (3, 4, 4, 4)
    assert shapes[SPLIT] == (3, 16, 16, 3)
    (stock,) = stock_cases(open_bundle(tiny_bundle), (3,))
    assert stock.run().shape == (3, 16, 16, 3)  # type: ignore[attr-defined]
    assert shapes["tokenise"] == (3, tiny.TOKENS)
    files = next(case for case in cases if case.stage == "image as PNG").run()
    assert [file[:4] for file in files] == [b"\x89PNG"] * 3  # type: ignore[attr-defined]
    assert pick([], "image", 1) == []


def test_labels_are_timed_by_the_same_cases(pixel_bundle: Path) -> None:
    bundle, teacher = open_bundle(pixel_bundle), tiny.pixel_teacher()
    assert body(bundle.manifest) == {"label": tiny.CLASSES[0], "seed": 0}
    shapes = {case.stage: getattr(case.run(), "shape", None) for case in student_cases(bundle, (3,), ["ort"])}
    assert (shapes["tokenise"], shapes["conditioner"], shapes["image"]) == ((3, 1), (3, 1, 16), (3, 16, 16, 3))
    settings = Settings(steps=2, guidance=1.5, batches=(3,))
    (case,) = teacher_cases(teacher, settings, [1])
    assert case.run().shape == (3, 16, 16, 3)  # type: ignore[attr-defined]
    assert ceiling(teacher, teacher, settings)["ratio"] > 2


def test_attributes_are_timed_by_the_same_cases(attribute_bundle: Path) -> None:
    bundle, teacher = open_bundle(attribute_bundle), tiny.attribute_teacher()
    assert body(bundle.manifest) == {"attributes": {"Man": 1.0, "Cap": 2.0}, "seed": 0}
    shapes = {case.stage: getattr(case.run(), "shape", None) for case in student_cases(bundle, (3,), ["ort"])}
    assert (shapes["tokenise"], shapes["conditioner"], shapes["image"]) == ((3, 6), (3, 4, 16), (3, 8, 8, 3))
    (case,) = teacher_cases(teacher, Settings(2, 1.0, (3,)), [1])
    assert case.run().shape == (3, 8, 8, 3)  # type: ignore[attr-defined]
    assert ceiling(teacher, teacher, Settings(1, 1.0, (1,)))["ratio"] == pytest.approx(3, abs=0.1), (
        "null and two attributes"
    )


@pytest.mark.slow
def test_overhead_of_a_real_service(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "HTTP_ROUNDS", 2)
    monkeypatch.setattr(latency, "HTTP_SECONDS", 0.0)
    found = latency.overhead(open_bundle(tiny_bundle), None)
    assert found.http.calls == found.bare.calls == 6
    assert found.comfortable is not None and found.comfortable.by.startswith("httpx")
    assert "httpx, kept alive" in page.markdown(replace(result(), overhead=found))


def test_a_missing_bundle_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no bundle"):
        latency.main(bundle=tmp_path / "none", out=tmp_path / "out")
