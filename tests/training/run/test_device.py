"""`auto` is bf16 exactly where a device multiplies bf16 faster; what is named stays."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from training.run.device import mixed_precision
from training.run.loop_config import LoopConfig, Precision


@pytest.mark.parametrize(("amx", "expected"), [(True, "bf16"), (False, "no"), (None, "no")])
def test_auto_on_a_cpu_is_bf16_with_amx_alone(monkeypatch: pytest.MonkeyPatch, amx: bool | None, expected: str) -> None:
    capabilities = {"avx512_bf16": True} | ({} if amx is None else {"amx_bf16": amx})
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    assert mixed_precision("auto") == expected


@pytest.mark.parametrize("named", ["no", "bf16", "fp16"])
def test_a_precision_that_is_named_stays(named: Precision) -> None:
    assert mixed_precision(LoopConfig(steps=1, precision=named).precision) == named


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"steps": -1}, {"steps": 1, "batch": 0}])
def test_a_loop_of_nothing_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        LoopConfig.model_validate(wrong)
