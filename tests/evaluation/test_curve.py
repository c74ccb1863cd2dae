"""The curve of quality over training: a row a snapshot, in order, with the minutes that its run had taken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from base.errors import BadInput
from evaluation import curve
from models import folder
from tests import tiny
from tests.evaluation.test_evaluation import image_set, networks

__all__ = ["image_set", "networks"]


def test_every_snapshot_is_a_row(
    image_set: Path, networks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    for step in (10, 5):
        folder.save(tiny.teacher(), run / "snapshots" / str(step))
    logged = [{"step": step, "seconds": 60.0 * step} for step in (5, 10)]
    (run / "metrics.jsonl").write_text("\n".join(map(json.dumps, logged)) + "\n")
    judge = str(networks / "judge")
    curve.main(
        str(run), str(image_set), judge, tmp_path / "out" / "curve", threads=2, steps=2, images=12, captions=4
    )  # fmt: skip
    rows = json.loads(capsys.readouterr().out.splitlines()[-1])["rows"]
    assert [(row["step"], row["core-minutes"]) for row in rows] == [(5, 10.0), (10, 20.0)]
    assert rows[0]["FD"] == rows[1]["FD"] > 0  # one and the same network
    page = (tmp_path / "out" / "curve.md").read_text()
    assert all(f"| {step} | {minutes} |" in page for step, minutes in ((5, 10), (10, 20)))


def test_a_run_without_snapshots_says_how_to_get_some(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with pytest.raises(BadInput, match=r"loop\.snapshots=true"):
        curve.snapshots(str(tmp_path / "run"))
