"""The benchmark of composed guidance: what it compares is the same work, and its last line is JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from base.errors import BadInput
from benchmarks.latency import composed_guidance as guidance
from models import folder
from tests import tiny


@torch.no_grad()
def test_the_cases_run_the_passes_that_they_name() -> None:
    teacher = tiny.attribute_teacher()
    sizes: list[int] = []
    teacher.denoiser.register_forward_pre_hook(lambda module, given: sizes.append(len(given[0])))
    for case in guidance.cases(teacher, 3, 2):
        sizes.append(0)
        case.run()
    assert sizes == [0, 2 * (1 + 3), 0, 4, 4, 4, 0, 2, 2, 2]
    with pytest.raises(BadInput, match="has 3 slots of attributes, 4 are wanted"):
        guidance.cases(teacher, 4, 1)


def test_the_last_line_is_one_json_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder.save(tiny.attribute_teacher(), tmp_path / "teacher")
    guidance.main(str(tmp_path / "teacher"), attributes=2, batches="1", rounds=1, seconds=0.001)
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["attributes"] == 2
    assert found["batch 1"]["composed ÷ guided one by one"] > 0 and found["batch 1"]["composed ÷ bare one by one"] > 0
