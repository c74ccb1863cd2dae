"""Pictures of several shapes from the folder to the bundle: batches of one shape each, validation over all, sizes offered."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from accelerate.state import AcceleratorState

from base.errors import BadInput
from data.aspect_buckets import BucketsConfig
from data.build import build
from data.imagefolder import ImageFolder
from export.write_bundle import ExportOptions, export
from models import folder as folders
from models.scheduler_configs import student_scheduler
from runtime import backend, networks
from runtime.backend import BackendOptions
from runtime.generator import Generator, Request
from tests.data.test_aspect_buckets import shapes
from tests.models import tiny_sana
from training import latents, launch
from training.student.add import AddMethod
from training.student.student_config import StudentConfig
from training.teacher import TeacherMethod
from training.teacher_config import TeacherConfig

RATE = {"rate": 1e-2, "warmup": 0}
SIZES = {(16, 16): 10, (20, 12): 6, (8, 24): 5}
"""(W, H) → training pictures."""


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base and a set of three shapes."""
    root = tmp_path_factory.mktemp("buckets")
    tiny_sana.write(root / "base")
    build(shapes(root / "in"), root / "set", size=16, buckets=BucketsConfig(divisor=4, least=8, greatest=32))
    return root


@pytest.fixture
def configs(places: Path, runs: Path, tmp_path: Path) -> dict[str, Path]:
    loop = {"steps": 6, "batch": 4, "validate_every": 3, "log_every": 1, "checkpoint_minutes": 0}
    files = {}
    methods: dict[str, dict[str, Any]] = {
        "teacher": {"base": str(places / "base"), "lora": {"rank": 2}, "optimizer": {**RATE, "schedule": "constant"}},
        "student": {
            "teacher": "teacher",
            "pairs": {"count": 12, "steps": 2},
            "optimizer": RATE,
            "warmup_optimizer": RATE,
            "warmup": 2,
            "consistency": {"steps": 4, "guidance": 2.0},
            "adversarial": {"discriminator": RATE, "width": 8, "reals": "both"},
        },
    }
    for method, values in methods.items():
        files[method] = tmp_path / f"{method}.yaml"
        files[method].write_text(yaml.safe_dump({"run": method, "data": str(places / "set"), "loop": loop, **values}))
    return files


def logged(run: Path, name: str) -> dict[int, float]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {line["step"]: line[name] for line in lines if name in line}


def test_a_teacher_and_its_student_learn_several_shapes(configs: dict[str, Path], runs: Path) -> None:
    # A run that is interrupted goes on with the batches that it would have had.
    launch.launch("teacher", configs["teacher"])
    launch.launch("teacher", configs["teacher"], ["run=again", "loop.steps=3"])
    launch.launch("teacher", configs["teacher"], ["run=again"])
    assert logged(runs / "again", "teacher/total") == logged(runs / "teacher", "teacher/total")
    assert folders.load(runs / "teacher" / "model").shapes == ((4, 4, 4), (4, 3, 5), (4, 6, 2))

    # All validate over every shape; what is saved offers the sizes, the commonest first.
    AcceleratorState._reset_state()
    launch.launch("student", configs["student"])
    assert all(score > 0 for score in logged(runs / "student", "validation/score").values())
    student = folders.load(runs / "student" / "model")
    assert student.is_student and networks.image_sizes(student) == tuple(SIZES)


@pytest.mark.slow  # three sizes on three backends
def test_a_bundle_offers_the_sizes_of_the_buckets(places: Path, tmp_path: Path) -> None:
    teacher = latents.sized(folders.load(places / "base"), ImageFolder(places / "set"))
    folders.save(replace(teacher, scheduler=student_scheduler(teacher.scheduler)), tmp_path / "student")
    bundle = export(str(tmp_path / "student"), tmp_path / "bundle", ExportOptions(trained=False))
    assert bundle.manifest.sizes == tuple(SIZES) and bundle.manifest.latent_shape == (4, 4, 4)
    generator = Generator(bundle, backend.load("ort", bundle, BackendOptions(threads=1)))
    assert generator.generate([Request("shape 1", 0)], size=(20, 12)).shape == (1, 12, 20, 3)


def test_batches_losses_and_pairs_are_of_one_shape(configs: dict[str, Path], places: Path) -> None:
    teacher = TeacherMethod(TeacherConfig.load(configs["teacher"]))
    assert teacher.groups is not None and len(teacher.groups) == teacher.size == sum(SIZES.values())
    shape_of: dict[int, tuple[int, ...]] = {}
    for (width, height), rows in ImageFolder(places / "set").buckets.items():
        assert teacher.latents[rows].shape == (len(rows), 4, height // 4, width // 4)
        shape_of |= dict.fromkeys(rows, (height // 4, width // 4))
    assert all(teacher.latents.of(row).shape[1:] == shape for row, shape in shape_of.items())

    # A row's loss is its own, whoever is asked for beside it.
    averages: dict[str, Any] = dict(teacher.modules)
    rows = list(range(teacher.size))
    with torch.no_grad():
        together = teacher._losses(averages, teacher.latents, teacher.captions, rows)
        again = teacher._losses(averages, teacher.latents, teacher.captions, rows[:1])
    assert len(together) == teacher.size
    first = [place for part in teacher.latents.together(rows) for place in part].index(0)
    assert torch.allclose(together[first], again[0], atol=1e-5)

    values = yaml.safe_load(configs["student"].read_text()) | {"teacher": str(places / "base")}
    student = AddMethod(StudentConfig.parse(values, "student"))
    student.prepare()
    pairs = student.training_set.pairs
    assert {shape: len(some) for shape, some in pairs.items()} == {(4, 4, 4): 6, (4, 3, 5): 3, (4, 6, 2): 3}
    assert all(some.samples.shape[1:] == shape for shape, some in pairs.items())
    assert [round(share * teacher.size) for share, _ in student.checks] == list(SIZES.values())


def test_what_a_base_cannot_take_is_one_line(places: Path, tmp_path: Path, runs: Path) -> None:
    base = folders.load(places / "base")
    uneven = build(shapes(tmp_path / "in"), tmp_path / "uneven", 18, buckets=BucketsConfig(divisor=6, least=12))
    with pytest.raises(BadInput, match=r"bucket 18x18 of .* must be multiples of 4 for this base; build the set with"):
        latents.sized(base, ImageFolder(uneven.folder))
    table = places / "set" / "train" / "metadata.jsonl"
    rows = table.read_text().splitlines(keepends=True)
    kept, lone = [row for row in rows if "16x16" in row], [row for row in rows if "20x12" in row]
    fewer = tmp_path / "fewer" / "train"
    fewer.mkdir(parents=True)
    for picture in table.parent.glob("*.png"):
        (fewer / picture.name).write_bytes(picture.read_bytes())
    (fewer / "metadata.jsonl").write_text("".join([*kept, lone[0]]))
    with pytest.raises(BadInput, match=r"buckets with one picture, .*: 20x12; leave those out"):
        latents.sized(base, ImageFolder(tmp_path / "fewer"))
    (tmp_path / "odd").mkdir()
    folders.save(base, tmp_path / "odd" / "base")
    (tmp_path / "odd" / "base" / folders.SHAPES).write_text("[4, 4]")
    with pytest.raises(BadInput, match="is no list of latent shapes"):
        folders.load(tmp_path / "odd" / "base")


def test_methods_that_take_pixels_refuse_several_sizes(places: Path, runs: Path, tmp_path: Path) -> None:
    config = tmp_path / "autoencoder.yaml"
    vae = {
        "sample_size": 16,
        "down_block_types": ["DownEncoderBlock2D"],
        "up_block_types": ["UpDecoderBlock2D"],
        "block_out_channels": [4],
        "latent_channels": 2,
        "layers_per_block": 1,
        "norm_num_groups": 2,
    }
    values = {"run": "a", "data": str(places / "set"), "vae": vae, "optimizer": RATE, "loop": {"steps": 1, "batch": 4}}
    config.write_text(yaml.safe_dump(values))
    with pytest.raises(BadInput, match="has pictures of 3 sizes, which only teachers and students that draw can learn"):
        launch.launch("autoencoder", config)
