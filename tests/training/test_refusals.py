"""What cannot work with a base or a data set is told before anything is encoded or trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from base.errors import BadInput
from models import folder as folders
from tests import tiny
from tests.training.conftest import write_set
from tests.training.test_lora import LOOP, STUDENT, train

VALUES: dict[str, dict[str, Any]] = {"teacher": {}, "student": STUDENT}


@pytest.mark.parametrize("method", [*VALUES])
def test_it_is_told_and_nothing_is_encoded(runs: Path, tmp_path: Path, method: str) -> None:
    small, large = write_set(tmp_path / "small", 4), write_set(tmp_path / "large", 4, size=32)
    folders.save(tiny.teacher(), tmp_path / "base")
    known = {"base" if method == "teacher" else "teacher": str(tmp_path / "base"), "loop": LOOP, **VALUES[method]}
    for change, said in (
        ({"data": str(large)}, r"32x32 pixels, latents of \[4, 8, 8\]; the base draws \[4, 4, 4\], which is 16x16"),
        ({"data": str(small), "captions": ["label"]}, "column 'label' of .*: a prompt must be text"),
        ({"data": str(small), "captions": ["txet"]}, "txet"),
        ({"data": str(tmp_path / "nowhere")}, "nowhere"),
    ):
        with pytest.raises(BadInput, match=said) as caught:
            train(method, tmp_path, run=f"odd-{len(said)}", **{**known, **change})
        assert "\n" not in str(caught.value)
    assert not (runs / "cache").exists()
