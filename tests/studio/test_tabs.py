"""What the tabs show of sets and runs, without a browser."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import gradio as gr
import pytest

from base.errors import BadInput
from data.cleaning_report import CleaningReport, Dropped
from data.imagefolder import ImageFolder
from studio import library
from studio.form import Field
from studio.tabs import compare_tab, data_tab, monitor_tab, train_tab

Write = Callable[[str, int], Path]


def test_labels_are_counted_and_choose_pictures(home: Path) -> None:
    images = ImageFolder(library.image_set("squares"))
    assert data_tab.label_columns(images)[0] == "label"
    assert data_tab.label_counts(images, "label") == {"0": 6, "1": 6, "2": 6, "3": 6}
    assert data_tab.rows(images, "text", "red") == [0, 4, 8, 12, 16, 20]
    shown = data_tab.gallery_of("squares", "train", "text", "red", 1)
    assert shown.count("<img") == 6 and 'src="/picture/data/squares/train/004.png?' in shown
    assert "has no split" in data_tab.gallery_of("squares", "other", None, data_tab.EVERYTHING, 1)


def test_lists_of_attributes_are_labels_too(home: Path) -> None:
    table = library.image_set("squares") / "train" / "metadata.jsonl"
    rows = [json.loads(line) | {"attributes": ["Man", "Cap"][: 1 + number % 2]}
            for number, line in enumerate(table.read_text().splitlines())]  # fmt: skip
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    images = ImageFolder(library.image_set("squares"))
    assert data_tab.label_counts(images, "attributes") == {"Man": 24, "Cap": 12}
    assert len(data_tab.rows(images, "attributes", "Cap")) == 12


def test_the_report_says_what_was_dropped(home: Path) -> None:
    assert "no report" in data_tab.report_of("squares")
    dropped = (Dropped("a<b>.png", "duplicate"), Dropped("c.png", "duplicate"), Dropped("d.png", "too small"))
    folder_of = library.image_set("squares")
    CleaningReport("ippo data build", folder_of, {"train": 24}, dropped, {"seed": 0}).save(folder_of)
    shown = data_tab.report_of("squares")
    assert "<td>duplicate</td><td>2</td><td>a&lt;b&gt;.png</td>" in shown and "ippo data build" in shown


def test_the_monitor_sees_every_line_and_a_deleted_run(write_run: Write) -> None:
    run = write_run("a", 50)
    before = monitor_tab.state_of("a")
    assert monitor_tab.state_of("a") == before and 'aria-label="teacher/total"' in monitor_tab.curves_of("a")
    with (run / "metrics.jsonl").open("a") as lines:
        lines.write("\n" + json.dumps({"step": 60, "teacher/total": 0.1, "seconds": 15.0}) + "\n")
    assert monitor_tab.state_of("a") != before
    shutil.rmtree(run)
    with pytest.raises(BadInput, match="is gone"):
        monitor_tab.state_of("a")


def test_runs_side_by_side_and_one_that_is_gone(write_run: Write) -> None:
    write_run("a", 50)
    write_run("b", 90)
    shown = compare_tab.page(["a", "b", "gone"])
    assert shown.count("<polyline") == 2 and "the run &#x27;gone&#x27; is gone" in shown
    assert "<td>90</td>" in shown and shown.count('<img src="/picture/') == 2
    assert compare_tab.page([]) == compare_tab.CHOOSE


def test_the_form_offers_every_model_to_start_from(home: Path, write_run: Write) -> None:
    (write_run("a", 50) / "model").mkdir()
    with gr.Blocks():
        control = train_tab._control(Field("base", "model", "", "Where it starts."))
    assert isinstance(control, gr.Dropdown) and control.allow_custom_value
    assert control.label == "Start from this model (base)"
    assert {"", "a", "models/pretrained/emoji/teacher"} <= {value for _, value in control.choices}
