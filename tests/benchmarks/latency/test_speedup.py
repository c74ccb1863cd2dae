"""The latency benchmark on a tiny bundle and its tiny teacher; no figure is asserted, only what follows from figures."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest

from base.errors import BadInput
from benchmarks.latency import speedup
from benchmarks.latency.cases import (
    AS_PNG,
    IMAGE,
    SPLIT,
    STAGES,
    STOCK,
    TEACHER,
    body,
    stock_cases,
    student_cases,
    teacher_cases,
)
from benchmarks.latency.flops import ceiling
from benchmarks.latency.http_overhead import HTTP, Overhead, overhead
from evaluation.clock import Case, Timing, interleaved
from evaluation.result import markdown
from export.write_bundle import ExportOptions, export
from models import folder
from models.reduce import reduced
from models.scheduler_configs import student_scheduler
from runtime.bundle import open_bundle
from tests import tiny


def timing(stage: str, by: str, *rounds: float) -> Timing:
    middle = sorted(rounds)[len(rounds) // 2]
    return Timing(stage, by, 1, middle, min(rounds), max(rounds), max(rounds), min(rounds), len(rounds), rounds)


TIMINGS = (
    timing(IMAGE, f"{TEACHER}, threads 1", 900.0, 1000.0, 1200.0),
    timing(IMAGE, f"{TEACHER}, threads 2", 1900.0, 2000.0, 2200.0),
    timing(IMAGE, STOCK, 45.0, 45.0, 45.0),
    timing(IMAGE, "bundle small, ort", 3.0, 3.0, 3.0),
    timing(IMAGE, "ort", 9.0, 10.0, 8.0),
    timing(IMAGE, "eager", 30.0, 40.0, 50.0),
    timing(SPLIT, "ort", 18.0, 18.0, 18.0),
)
LEAN, BARE = timing(HTTP, "one client", 6.5), timing(AS_PNG, "ort", 5.0)
OVERHEAD = Overhead(LEAN, BARE, LEAN)


def shapes_of(cases: Iterable[Case]) -> dict[str, object]:
    """Stage → shape of what it gives; of the conditioner that of the hidden states."""
    given = {case.stage: case.run() for case in cases}
    states = {
        name: value["encoder_hidden_states"] if isinstance(value, dict) else value for name, value in given.items()
    }
    return {name: getattr(value, "shape", None) for name, value in states.items()}


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


def test_ratios_take_both_at_their_best() -> None:
    found = [ratio.figures() for ratio in speedup.ratios(TIMINGS)]
    teacher, other, stock, split = found
    assert (teacher["other"], teacher["student"]) == (f"image, {TEACHER}, threads 1", "ort")
    assert teacher["ratio"] == pytest.approx(1000 / 9)
    assert (teacher["low"], teacher["high"]) == (100.0, 150.0)
    assert (stock["ratio"], split["ratio"]) == (5.0, 2.0)
    assert other["ratio"] == pytest.approx(1 / 3), "another bundle may be faster"
    assert OVERHEAD.milliseconds == 1.5


def test_the_page_shows_ratios_overhead_and_curves() -> None:
    page = markdown(speedup.result(TIMINGS, OVERHEAD, {"ratio": 40.0}, {"teacher steps": 50}), "latency")
    assert "| 111.1 | 100 | 150 |" in page and "1.50 ms more" in page and "- teacher steps: 50" in page
    assert "![ms an image over the batch](latency-ms-an-image-over-the-batch.svg)" in page
    assert "Over HTTP" not in markdown(speedup.result(TIMINGS, None, {"ratio": 40.0}, {}), "latency")


def run(bundle: Path, out: Path, other: Sequence[Path] = ()) -> None:
    """The whole benchmark in two short rounds, without HTTP."""
    speedup.main(bundle, out / "teacher", [*other], steps=2, batches="1,2", rounds=2, seconds=0.0, http=False, out=out)


@pytest.mark.slow
def test_a_whole_run_on_tiny_networks(tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder.save(tiny.teacher(), tmp_path / "teacher")
    run(tiny_bundle, tmp_path, [tiny_bundle])
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    stages = {(timing["stage"], timing["batch"]) for timing in printed["timings"]}
    assert stages == {(stage, batch) for stage in (*STAGES, IMAGE, SPLIT, AS_PNG) for batch in (1, 2)}
    assert all(timing["least"] > 0 for timing in printed["timings"])
    others = {ratio["other"] for ratio in printed["ratios"] if ratio["batch"] == 2}
    assert f"image, {STOCK}" in others and f"{SPLIT}, ort" in others
    assert any(other.startswith(f"image, bundle {tiny_bundle.name}") for other in others)
    saved = json.loads((tmp_path / "latency.json").read_text())
    assert saved["machine"]["cores"] >= 1 and saved["versions"]["torch"]
    assert saved["timings"] == printed["timings"]
    assert f"| {STAGES[0]} | tokenizers | 2 |" in (tmp_path / "latency.md").read_text()
    assert "eager" in (tmp_path / "latency-ms-an-image-over-the-batch.svg").read_text()


def test_the_ceiling_counts_the_teachers_passes(tmp_path: Path) -> None:
    folder.save(tiny.teacher(), tmp_path / "teacher")
    teacher = folder.load(tmp_path / "teacher")
    few, many = (ceiling(teacher, teacher, steps, 2.0)["ratio"] for steps in (1, 50))
    unguided = ceiling(teacher, teacher, 50, 1.0)["ratio"]
    assert 1 < few < 2 < unguided < many < 100
    assert ceiling(teacher, teacher, 1, 1.0)["ratio"] == pytest.approx(1)
    small = tiny.teacher()
    small.denoiser = reduced(small.denoiser, {"mid_block_type": None})
    assert ceiling(teacher, small, 1, 1.0)["ratio"] > 1.05


def test_teacher_and_student_draw_what_they_are_timed_for(tiny_bundle: Path, tmp_path: Path) -> None:
    folder.save(tiny.teacher(), tmp_path / "teacher")
    (case,) = teacher_cases(folder.load(tmp_path / "teacher"), 1, 2.0, [3], [1])
    assert case.run().shape == (3, 16, 16, 3)  # type: ignore[attr-defined]
    cases = list(student_cases(open_bundle(tiny_bundle), (3,), ["ort"]))
    shapes = shapes_of(cases)
    assert shapes["image"] == (3, 16, 16, 3)
    assert shapes["denoiser"] == (3, 4, 4, 4)
    assert shapes[SPLIT] == (3, 16, 16, 3)
    (stock,) = stock_cases(open_bundle(tiny_bundle), (3,))
    assert stock.run().shape == (3, 16, 16, 3)  # type: ignore[attr-defined]
    assert shapes["tokenise"] == (3, tiny.TOKENS)
    files = next(case for case in cases if case.stage == "image as PNG").run()
    assert [file[:4] for file in files] == [b"\x89PNG"] * 3  # type: ignore[attr-defined]


def test_labels_are_timed_by_the_same_cases(pixel_bundle: Path) -> None:
    bundle, teacher = open_bundle(pixel_bundle), tiny.pixel_teacher()
    assert body(bundle.manifest) == {"label": tiny.CLASSES[0], "seed": 0}
    shapes = shapes_of(student_cases(bundle, (3,), ["ort"]))
    assert (shapes["tokenise"], shapes["conditioner"], shapes["image"]) == ((3, 1), (3, 1, 16), (3, 16, 16, 3))
    (case,) = teacher_cases(teacher, 2, 1.5, [3], [1])
    assert case.run().shape == (3, 16, 16, 3)  # type: ignore[attr-defined]
    assert ceiling(teacher, teacher, 2, 1.5)["ratio"] > 2


def test_attributes_are_timed_by_the_same_cases(attribute_bundle: Path) -> None:
    bundle, teacher = open_bundle(attribute_bundle), tiny.attribute_teacher()
    assert body(bundle.manifest) == {"attributes": {"Man": 1.0, "Cap": 2.0}, "seed": 0}
    shapes = shapes_of(student_cases(bundle, (3,), ["ort"]))
    assert (shapes["tokenise"], shapes["conditioner"], shapes["image"]) == ((3, 6), (3, 4, 16), (3, 8, 8, 3))
    (case,) = teacher_cases(teacher, 2, 1.0, [3], [1])
    assert case.run().shape == (3, 8, 8, 3)  # type: ignore[attr-defined]
    assert ceiling(teacher, teacher, 1, 1.0)["ratio"] == pytest.approx(3, abs=0.1), "null and two attributes"


@pytest.mark.slow
def test_two_text_encoders_are_timed_by_the_same_cases(tmp_path: Path) -> None:
    student = tiny.xl_teacher()
    student.scheduler = student_scheduler(student.scheduler, "v_prediction")
    folder.save(student, tmp_path / "student")
    bundle = export(str(tmp_path / "student"), tmp_path / "bundle", ExportOptions(trained=False, inputs=["a cat"]))
    given = {case.stage: case.run() for case in student_cases(bundle, (2,), ["ort"])}
    assert set(given["conditioner"]) == {"encoder_hidden_states", "text_embeds", "time_ids"}  # type: ignore[call-overload]
    assert np.abs(np.subtract(given[IMAGE], given[SPLIT], dtype=np.int64)).max() <= 3  # type: ignore[call-overload]
    assert list(stock_cases(bundle, (2,))) == []


@pytest.mark.slow
def test_overhead_of_a_real_service(tiny_bundle: Path) -> None:
    found = overhead(open_bundle(tiny_bundle), rounds=2, seconds=0.0)
    assert found.http.calls == found.bare.calls == 6
    assert found.comfortable.by.startswith("httpx")


def test_a_missing_bundle_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no bundle"):
        run(tmp_path / "none", tmp_path)
