"""A term is one file: a made-up one is found, configured, refused, estimated, trained and watched, and nobody was told."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from base.errors import BadInput
from models import folder as folders
from tests import tiny
from training.student.student_config import StudentConfig
from training.student.terms import TERMS

SMALLNESS = '''
"""A made-up term: samples are to be small, and a scale of its own learns how small."""

import torch
from torch import nn

from training.run.optimizer import OptimizerConfig
from training.student.term import Term, TermConfig, TermPhase


class SmallnessConfig(TermConfig):
    """Smallness."""

    weight: float = 1.0
    """Weight of the term."""
    optimizer: OptimizerConfig = OptimizerConfig(rate=1e-2)
    """The scale's."""

    def refuse(self, student):
        if student.own_outputs:
            raise ValueError("smallness looks at first steps alone")

    def rehearse(self, rehearsal):
        return rehearsal.fake.abs().mean()


class Smallness(Term):
    configuration = SmallnessConfig

    def __init__(self, config, student):
        super().__init__(config, student)
        self.scale = nn.Linear(1, 1)
        self.modules = {"scale": self.scale}

    def phases(self, begin):
        return [TermPhase("scale", list(self.scale.parameters()), self.config.optimizer, self.scale_step, start=begin)]

    def scale_step(self, batch):
        with torch.no_grad():
            size = batch.fake.abs().mean().reshape(1, 1)
        return {"total": (self.scale(size) - 1).square().sum()}

    def loss(self, batch):
        return self.config.weight * batch.fake.square().mean()

    def figures(self, real, fake, conditioning, draws):
        return {"size": float(fake.abs().mean())}

    def warnings(self, figures):
        return ["too small"] if figures.get("watch/size", 1.0) < 0 else []


TERM = Smallness
'''
TRAIN = """
import json, sys
import training.student
training.student.__path__.append(sys.argv[1])
from base.errors import BadInput
from studio.form import fields
from training import launch
from training.student.student_config import StudentConfig

refused = []
for change in ("smallness.wait=1", "smalness=1", "own_outputs=0.5"):
    try:
        StudentConfig.load(sys.argv[2], [change])
    except BadInput as error:
        refused.append(str(error))
form = [field.key for field in fields(StudentConfig.load(sys.argv[2])) if field.group == "smallness"]
peak = launch.rehearse("student", sys.argv[2]).peak
launch.launch("student", sys.argv[2])
print(json.dumps({"refused": refused, "form": form, "peak": peak}))
"""


def test_a_made_up_term_needs_its_file_alone(data: Path, runs: Path, tmp_path: Path) -> None:
    package = tmp_path / "more"
    package.mkdir()
    (package / "smallness.py").write_text(SMALLNESS)
    folders.save(tiny.teacher(), tmp_path / "teacher")
    values = {
        "run": "small", "teacher": str(tmp_path / "teacher"), "data": str(data), "pairs": {"count": 4, "steps": 2},
        "timesteps": {"999": 0.5, "499": 0.5}, "warmup": 1, "warmup_optimizer": {}, "optimizer": {},
        "smallness": {"weight": 0.5}, "loop": {"steps": 3, "batch": 4, "log_every": 1},
    }  # fmt: skip
    (tmp_path / "student.yaml").write_text(yaml.safe_dump(values))
    command = [sys.executable, "-c", TRAIN, str(package), str(tmp_path / "student.yaml")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout.strip().splitlines()[-1])
    unknown, misspelt, alone = said["refused"]
    assert "unknown key 'wait'" in unknown and "weight" in unknown
    assert "did you mean 'smallness'" in misspelt and "looks at first steps alone" in alone
    assert "smallness.weight" in said["form"] and said["peak"] > 0
    lines = [json.loads(line) for line in (runs / "small" / "metrics.jsonl").read_text().splitlines()]
    logged = {key for line in lines for key in line}
    assert {
        "warmup/total", "scale/total", "generator/smallness", "generator/regression", "validation/watch/size",
        "validation/watch/size-held-out", "validation/share/smallness",
    } <= logged  # fmt: skip


def test_every_term_is_named_by_its_file_and_says_what_it_is() -> None:
    assert [*TERMS] == [
        "adversarial", "consistency", "continuous_consistency", "denoising", "distillation", "healing", "matching", "regression"
    ]  # fmt: skip
    for name, term in TERMS.items():
        assert term.__module__ == f"training.student.{name}"
        description = StudentConfig.model_fields[name].description or ""
        assert description.endswith("none: left out.") and len(description) > 30


def test_a_number_alone_is_a_weight() -> None:
    values = {"run": "r", "teacher": "t", "data": "d", "optimizer": {}, "warmup_optimizer": {}, "loop": {"steps": 9}}
    terms = StudentConfig.parse({**values, "regression": 0.25, "distillation": 2}, "test").terms
    assert (terms["regression"].weight, terms["distillation"].weight) == (0.25, 2.0)  # type: ignore[attr-defined]
    for wrong in ("often", True, [1]):
        with pytest.raises(BadInput, match=r"denoising: accepted are a weight, or its keys and their values, got "):
            StudentConfig.parse({**values, "denoising": wrong}, "test")
    with pytest.raises(BadInput, match=r"^test: pairs: accepted are keys and their values, got None$"):
        StudentConfig.parse({**values, "pairs": None}, "test")
    left_out = StudentConfig.parse({**values, "warmup": 9, "adversarial": 0, "healing": 0.0}, "test").terms
    assert "adversarial" not in left_out and "healing" not in left_out and "regression" in left_out
    without = StudentConfig.parse({**values, "warmup": 9, "regression": None, "distillation": 1}, "test").terms
    assert without["regression"].weight == 0  # type: ignore[attr-defined]
    with pytest.raises(BadInput, match=r"^test: reduce: accepted are base, small, tiny, or keys of .*, got 0$"):
        StudentConfig.parse({**values, "reduce": 0}, "test")
    with pytest.raises(BadInput, match=r"^test: pairs\.guidance: Input should be greater than or equal to 0, got -1$"):
        StudentConfig.parse({**values, "pairs": {"guidance": -1}}, "test")
    with pytest.raises(BadInput, match=r"healing\.steps: Field required"):
        StudentConfig.parse({**values, "healing": 3}, "test")
