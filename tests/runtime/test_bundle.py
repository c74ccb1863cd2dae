"""A bundle opens when it is what was exported, and only then."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from base.errors import BadInput
from models import stable_diffusion
from models.schedule import STUDENT_TIMESTEPS, Schedule
from runtime.bundle import Bundle, open_bundle
from runtime.manifest import MANIFEST, VERSION
from tests import tiny

ROOT = Path(__file__).parents[2]


@pytest.fixture
def copy(tiny_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_bundle, tmp_path / "copy"))


def _rewrite(folder: Path, **changes: Any) -> None:
    values = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**values, **changes}))


def _refused(folder: Path, message: str) -> None:
    with pytest.raises(BadInput, match=message) as raised:
        open_bundle(folder)
    assert "\n" not in str(raised.value)


def test_a_moved_bundle_opens(copy: Path, bundle: Bundle) -> None:
    assert open_bundle(copy).manifest == bundle.manifest


def test_the_manifest_says_what_the_student_is(bundle: Bundle) -> None:
    manifest = bundle.manifest
    schedule = Schedule.from_config(tiny.student().scheduler)
    assert bundle.schedule == schedule
    assert (schedule.alpha[STUDENT_TIMESTEPS[1][0]], schedule.prediction_type) == (
        0.0,
        "v_prediction",
    )  # zero terminal SNR
    assert (manifest.task, manifest.conditioning) == (stable_diffusion.TASK, ("encoder_hidden_states",))
    assert (manifest.inputs, manifest.classes) == (("prompt",), ())
    assert (manifest.tokens, manifest.latent_shape, manifest.sizes) == (tiny.TOKENS, (4, 4, 4), ((16, 16),))
    present = {path.relative_to(bundle.folder).as_posix() for path in bundle.folder.rglob("*") if path.is_file()}
    assert set(manifest.files) == present - {MANIFEST}


@pytest.mark.parametrize(
    "name", ["unet/diffusion_pytorch_model.safetensors", "one_step.onnx", "tokenizer/tokenizer.json"]
)
def test_an_altered_truncated_or_missing_file_is_named(name: str, copy: Path) -> None:
    content = (copy / name).read_bytes()
    (copy / name).write_bytes(content[:-1])
    _refused(copy, f"{name} is not the file that was exported")
    (copy / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    _refused(copy, f"{name} is not the file that was exported")
    (copy / name).unlink()
    _refused(copy, f"{name} is missing")


def test_a_newer_manifest_says_to_upgrade(copy: Path) -> None:
    _rewrite(copy, version=VERSION + 1, unheard_of=True)
    _refused(copy, f"version {VERSION + 1}, this ippo reads version {VERSION}: upgrade ippo")


def test_an_older_manifest_says_to_export_again(copy: Path) -> None:
    _rewrite(copy, version=VERSION - 1, timesteps=[])
    _refused(copy, f"version {VERSION - 1}, this ippo reads version {VERSION}: export the model again")


@pytest.mark.parametrize("name", ["digits", "avatars", "emoji"])
def test_the_bundles_that_ship_are_of_this_version(name: str) -> None:
    manifest = open_bundle(ROOT / "models" / "pretrained" / name / "student").manifest
    assert (manifest.version, manifest.model_name) == (VERSION, name)


def test_a_manifest_that_is_none(copy: Path, tmp_path: Path) -> None:
    _rewrite(copy, sizes="large")
    _refused(copy, "was altered: sizes")
    _rewrite(copy, surprise=1)
    _refused(copy, "was altered")
    (copy / MANIFEST).write_text('{"version": 6')
    _refused(copy, "not valid JSON")
    (copy / MANIFEST).write_text("[]")
    _refused(copy, "was altered")
    (copy / MANIFEST).unlink()
    _refused(copy, "is no bundle: it has no manifest.json")
    _refused(tmp_path / "nowhere", "no such folder")


def test_files_outside_of_the_bundle_are_refused(copy: Path, tmp_path: Path, bundle: Bundle) -> None:
    (tmp_path / "secret").write_text("x")
    for name in ("../secret", str(tmp_path / "secret")):
        _rewrite(copy, files={**bundle.manifest.files, name: "0" * 64})
        _refused(copy, "lies outside of the bundle")


def test_only_listed_files_are_opened(copy: Path) -> None:
    (copy / "more.onnx").write_text("x")
    with pytest.raises(BadInput, match=r"holds no more\.onnx"):
        open_bundle(copy).path("more.onnx")


def test_a_bundle_whose_weights_are_pointers_is_told_and_not_called_altered(copy: Path) -> None:
    file = copy / "unet/diffusion_pytorch_model.safetensors"
    file.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(BadInput, match=r"model\.safetensors is a git-lfs pointer, .*: run `git lfs pull`"):
        open_bundle(copy)
