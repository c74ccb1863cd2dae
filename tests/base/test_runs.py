"""Names of sets: made below the runs, found there, unless they are written as paths."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

import ippo
from base.errors import BadInput
from base.runs import data_folder, new_data_folder
from tests.data.pictures import plain


def test_a_set_lands_where_training_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where the folder of its originals has the same name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IPPO_RUNS", str(tmp_path / "runs"))
    plain(tmp_path / "birds", 3)
    done = CliRunner().invoke(ippo.app, ["data", "build", "birds", "birds", "--size", "16"])
    assert done.exit_code == 0, done.output
    assert data_folder("birds") == str(tmp_path / "runs" / "data" / "birds")
    assert "nothing was dropped" in done.output and "columns: text, label (3 classes)" in done.output
    assert data_folder("./birds") == "./birds" and data_folder("some/hub-set") == "some/hub-set"
    for unnamed in (data_folder, new_data_folder):
        with pytest.raises(BadInput, match="name"):
            unnamed(" ")
    assert new_data_folder("~no-such-user/x") == Path("~no-such-user/x")
    assert new_data_folder("./x") == Path("x") and new_data_folder("a/b") == Path("a/b")
