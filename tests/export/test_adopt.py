"""A folder as optimum lays it out becomes a bundle; `tests/interop` does it with optimum's own graphs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from diffusers import EulerDiscreteScheduler
from onnx import TensorProto, helper

from base.errors import BadInput
from export.adopt import adopt
from models.schedule import Schedule
from runtime import backend
from runtime.backend import BackendOptions
from runtime.bundle import Bundle
from runtime.generator import Generator, Request
from tests.models.test_bases import BETAS

REQUESTS = [Request("a cat", 7), Request("two dogs", 8)]


@pytest.fixture
def theirs(bundle: Bundle, tmp_path: Path) -> Path:
    """The tiny bundle's networks in optimum's folders, with token ids as optimum's exporter types them."""
    out = tmp_path / "theirs"
    for name in ("scheduler", "tokenizer", "text_encoder", "unet"):
        shutil.copytree(bundle.folder / name, out / name)
    shutil.copy(bundle.folder / "model_index.json", out)
    for name in ("vae_decoder", "vae_encoder"):
        shutil.copytree(bundle.folder / "vae", out / name)
    (out / "vae_encoder" / "encoder.onnx").replace(out / "vae_encoder" / "model.onnx")
    model = onnx.load(str(out / "text_encoder" / "model.onnx"), load_external_data=False)
    for node in model.graph.node:
        node.input[:] = ["wide_ids" if name == "input_ids" else name for name in node.input]
    model.graph.node.insert(0, helper.make_node("Cast", ["input_ids"], ["wide_ids"], to=TensorProto.INT64))
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT32
    onnx.save_model(model, str(out / "text_encoder" / "model.onnx"))
    return out


def test_it_draws_what_its_graphs_draw(theirs: Path, bundle: Bundle, tmp_path: Path) -> None:
    adopted = adopt(theirs, tmp_path / "adopted")
    assert (adopted.manifest.task, adopted.manifest.sizes) == (bundle.manifest.task, bundle.manifest.sizes)
    assert (adopted.manifest.latent_shape, adopted.manifest.tokens) == (
        bundle.manifest.latent_shape,
        bundle.manifest.tokens,
    )
    start = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    ours, other = (Generator(b, backend.load("ort", b, BackendOptions(threads=1))) for b in (bundle, adopted))
    for steps in (1, 2):
        assert np.abs(ours.generate(REQUESTS, steps).astype(int) - other.generate(REQUESTS, steps)).max() <= 1
    images = [generator.generate([Request("a cat", 7, start)])[0].astype(int) for generator in (ours, other)]
    assert np.abs(images[0] - images[1]).max() <= 1
    with pytest.raises(BadInput, match="holds graphs alone, which backend 'eager' cannot run"):
        backend.load("eager", adopted)


def test_what_is_no_folder_of_optimums_or_no_student_is_refused(theirs: Path, tmp_path: Path) -> None:
    file = theirs / "scheduler" / "scheduler_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "_class_name": "DDIMScheduler"}))
    with pytest.raises(BadInput, match="is no student: its scheduler is DDIMScheduler"):
        adopt(theirs, tmp_path / "adopted")
    (theirs / "unet" / "model.onnx").unlink()
    with pytest.raises(BadInput, match=r"is no folder that optimum exported: unet/model\.onnx is missing"):
        adopt(theirs, tmp_path / "adopted")
    with pytest.raises(BadInput, match="exists already"):
        adopt(theirs, theirs)
    assert [path.name for path in tmp_path.iterdir()] == ["theirs"]


def test_a_graph_with_other_inputs_is_refused_and_nothing_stays(theirs: Path, tmp_path: Path) -> None:
    file = theirs / "unet" / "model.onnx"
    model = onnx.load(str(file), load_external_data=False)
    model.graph.input.append(helper.make_tensor_value_info("time_ids", TensorProto.FLOAT, [1]))
    onnx.save_model(model, str(file))
    with pytest.raises(BadInput, match=r"the denoiser's graph takes encoder_hidden_states, sample, time_ids, timestep"):
        adopt(theirs, tmp_path / "adopted")
    assert [path.name for path in tmp_path.iterdir()] == ["theirs"]


def test_optimums_folder_of_it_is_adopted_as_a_student(theirs: Path, bundle: Bundle, tmp_path: Path) -> None:
    EulerDiscreteScheduler(**BETAS, timestep_spacing="trailing").save_pretrained(theirs / "scheduler")  # SD-Turbo's
    adopted = adopt(theirs, tmp_path / "adopted")
    scheduler = json.loads((adopted.folder / "scheduler/scheduler_config.json").read_text())
    assert scheduler["_class_name"] == "LCMScheduler" and adopted.schedule == Schedule.from_config(scheduler)
    assert adopted.schedule.prediction_type == "epsilon"
    index = json.loads((adopted.folder / "model_index.json").read_text())
    assert index["scheduler"] == ["diffusers", "LCMScheduler"]


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        (
            "unet/model.onnx",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            "unet/model.onnx is a git-lfs pointer",
        ),
        ("unet/model.onnx", b"\x08\x0a\x12", "unet/model.onnx and its weights are not whole"),
        ("unet/diffusion_pytorch_model.safetensors", None, "unet/model.onnx and its weights are not whole"),
    ],
)
def test_graphs_that_are_not_here_are_one_line(
    theirs: Path,
    tmp_path: Path,
    file: str,
    content: bytes | None,
    said: str,
) -> None:
    if content is None:
        (theirs / file).unlink()
    else:
        (theirs / file).write_bytes(content)
    with pytest.raises(BadInput, match=said) as caught:
        adopt(theirs, tmp_path / "adopted")
    assert "\n" not in str(caught.value) and not (tmp_path / "adopted").exists()
