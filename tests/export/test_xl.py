"""A student of two text encoders that is told sizes, through the same export, generator and server path."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from diffusers import StableDiffusionXLPipeline

from base.safetensors_head import read_head
from export.write_bundle import ExportOptions, export
from metrics.sharpness import psnr
from models import folder as folders
from models.noise import gaussian
from models.pipeline import Pipeline
from models.scheduler_configs import student_scheduler
from runtime import backend, networks
from runtime.backend import BackendOptions
from runtime.bundle import Bundle, open_bundle
from runtime.generator import Generator, Request
from runtime.openvino import OpenVinoBackend
from runtime.tokenize import PromptTokenizer
from tests import tiny
from tests.nvidia import check_graphs

PROMPTS = ["red", "", "a blue heart and much more"]
TOLD = ("encoder_hidden_states", "text_embeds", "time_ids")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    student = tiny.xl_teacher()
    student.scheduler = student_scheduler(student.scheduler, "v_prediction")
    out = tmp_path_factory.mktemp("xl")
    folders.save(student, out / "student")
    return export(str(out / "student"), out / "tiny", ExportOptions(trained=False, inputs=PROMPTS))


@pytest.fixture(scope="module")
def pipeline(bundle: Bundle) -> Pipeline:
    return folders.load(bundle.folder)


def test_the_graphs_say_what_the_denoiser_is_told(bundle: Bundle) -> None:
    assert bundle.manifest.conditioning == TOLD and bundle.manifest.tokens == 2 * tiny.TOKENS
    assert bundle.manifest.graphs["conditioner"] == "conditioner.onnx"
    edges = {}
    for name in bundle.manifest.graphs:
        graph = onnx.load(str(bundle.graph(name)), load_external_data=False).graph
        edges[name] = ([value.name for value in graph.input], [value.name for value in graph.output])
    assert edges["conditioner"] == (["input_ids"], list(TOLD))
    assert edges["denoiser"] == (["sample", "timestep", *TOLD], ["out_sample"])
    assert edges["one_step"] == (["input_ids", "noise"], ["images"])
    assert min(figures["psnr"] for name, figures in bundle.manifest.parity.items() if "psnr" in figures) > 35


def test_nvidias_parser_takes_its_graphs_and_the_builder_those_that_are_its_own(bundle: Bundle) -> None:
    check_graphs(bundle, ["conditioner", "denoiser"])


@pytest.mark.slow
def test_nvidias_builder_takes_all_of_its_graphs(bundle: Bundle) -> None:
    check_graphs(bundle, ["decoder", "encoder", "one_step"])


@pytest.mark.parametrize("name", ["conditioner", "one_step"])
def test_both_encoders_weights_are_read_where_they_were_saved(name: str, bundle: Bundle) -> None:
    path = bundle.graph(name)
    tensors = onnx.load(str(path), load_external_data=False).graph.initializer
    assert sum(tensor.ByteSize() for tensor in tensors if not tensor.external_data) < 50_000
    read: dict[str, set[str]] = {}
    for tensor in (tensor for tensor in tensors if tensor.external_data):
        entries = {entry.key: entry.value for entry in tensor.external_data}
        part, _, key = tensor.name.rpartition("/")[2].partition(".")
        if part.startswith("text_encoder"):
            assert entries["location"] == f"{part}/model.safetensors"
            places = read_head(path.parent / entries["location"]).spans
            assert places[key] == (int(entries["offset"]), int(entries["length"]))
            read.setdefault(part, set()).add(key)
    saved = {part: set(read_head(bundle.folder / f"{part}/model.safetensors").spans) for part in read}
    beyond = {key for key in saved["text_encoder"] if "layers.1." in key or "final_layer_norm" in key}
    assert read == {**saved, "text_encoder": saved["text_encoder"] - beyond}  # the last but one layer's hidden states


def test_the_tokens_are_those_of_both_tokenizers(bundle: Bundle, pipeline: Pipeline) -> None:
    expected = pipeline.conditioner.tokenize(PROMPTS).numpy()  # type: ignore[operator]
    found = PromptTokenizer(bundle)
    assert (found.ids(PROMPTS) == expected).all() and found.dropped(PROMPTS[-1]) > 0


@pytest.mark.parametrize("name", ["eager", "ort", "openvino"])
@pytest.mark.parametrize("steps", [1, 2])
def test_every_backend_draws_what_the_pipeline_draws(name: str, steps: int, bundle: Bundle, pipeline: Pipeline) -> None:
    requests = [Request(prompt, seed) for seed, prompt in enumerate(PROMPTS)]
    runner = (
        OpenVinoBackend(bundle, BackendOptions(threads=1), "f32")
        if name == "openvino"
        else backend.load(name, bundle, BackendOptions(1))
    )
    found = Generator(bundle, runner).generate(requests, steps)
    expected = pipeline.generate(PROMPTS, range(3), steps)
    assert np.abs(found.astype(int) - expected).max() <= 2


def test_a_graph_is_its_network_at_a_batch_it_was_not_traced_at(bundle: Bundle, pipeline: Pipeline) -> None:
    inputs = {key: value.numpy() for key, value in networks.examples(pipeline, 5)["conditioner"].items()}
    ort, eager = (
        backend.load(name, bundle, BackendOptions(threads=1)).outputs("conditioner", inputs)
        for name in ("ort", "eager")
    )
    assert list(ort) == list(eager) == list(TOLD)
    for name in TOLD:
        assert ort[name].shape == eager[name].shape
        np.testing.assert_allclose(ort[name], eager[name], atol=2e-2 * np.abs(eager[name]).max())


def test_stock_diffusers_opens_the_bundle_and_draws_the_same(bundle: Bundle, pipeline: Pipeline) -> None:
    stock = StableDiffusionXLPipeline.from_pretrained(bundle.folder, torch_dtype=torch.float32)
    latents = torch.from_numpy(gaussian([1, 2], 1, pipeline.latent_shape)[0])
    how = {"num_inference_steps": 1, "guidance_scale": 0.0, "latents": latents, "output_type": "np"}
    prompts = ["red", "a blue heart"]
    assert psnr(pipeline.generate(prompts, [1, 2]), stock(prompts, **how).images * 255) > 40


def test_a_bundle_of_one_text_encoder_takes_hidden_states_alone(tiny_bundle: Path) -> None:
    assert open_bundle(tiny_bundle).manifest.conditioning == TOLD[:1]
    assert open_bundle(Path("models/pretrained/emoji/student")).manifest.conditioning == TOLD[:1]
