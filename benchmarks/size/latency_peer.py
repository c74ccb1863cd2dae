"""What else one would draw with on a CPU, one engine a process, behind lines of JSON; it knows nothing of ippo.

An engine draws one picture in one step without guidance, from a diffusers folder of a one-step student. Imports lie inside of
the functions: the process that is measured holds no more than its engine needs.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.peer_side import answer

Draw = Callable[[str], Any]
"""Prompt → an array or a picture."""


def stock(folder: str, threads: int, side: int) -> Draw:
    """Stock diffusers in float32."""
    return _one_step(_diffusers(folder, threads))


def compiled(folder: str, threads: int, side: int) -> Draw:
    """The same; denoiser and decoder, where the time goes, as `torch.compile` makes them."""
    import torch

    pipeline = _diffusers(folder, threads)
    pipeline.unet, pipeline.vae.decode = torch.compile(pipeline.unet), torch.compile(pipeline.vae.decode)
    return _one_step(pipeline)


def _diffusers(folder: str, threads: int) -> Any:
    import torch
    from diffusers import StableDiffusionPipeline

    torch.set_num_threads(threads)
    options: dict[str, Any] = {"safety_checker": None, "requires_safety_checker": False}
    pipeline = StableDiffusionPipeline.from_pretrained(folder, torch_dtype=torch.float32, **options)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _one_step(pipeline: Any) -> Draw:
    return lambda prompt: pipeline(prompt, num_inference_steps=1, guidance_scale=0.0, output_type="np").images


def genai(folder: str, threads: int, side: int) -> Draw:
    """OpenVINO GenAI's own pipeline, at one size, in the precision that the plug-in chooses."""
    import openvino_genai

    pipeline = openvino_genai.Text2ImagePipeline(folder)
    pipeline.reshape(1, side, side, 1.0)
    pipeline.compile("CPU", INFERENCE_NUM_THREADS=threads)
    return lambda prompt: pipeline.generate(prompt, num_inference_steps=1, guidance_scale=1.0).data


def cpp(folder: str, threads: int, side: int) -> Draw:
    """stable-diffusion.cpp with weights in f16; it knows the published sizes alone."""
    from stable_diffusion_cpp import StableDiffusion

    engine = StableDiffusion(model_path=folder, n_threads=threads, wtype="f16", verbose=False)
    options = {"width": side, "height": side, "sample_steps": 1, "cfg_scale": 1.0, "sample_method": "lcm", "seed": 0}
    return lambda prompt: engine.generate_image(prompt=prompt, **options)


def export_genai(model: str, out: str) -> dict[str, Any]:
    """A diffusers folder → OpenVINO's own format in fp16, under the names and shapes that optimum-intel gives its exports."""
    import openvino
    import torch
    from diffusers import DDIMScheduler
    from openvino_tokenizers import convert_tokenizer

    stock = _diffusers(model, torch.get_num_threads())
    tokens, unet = stock.tokenizer.model_max_length, stock.unet.config
    sample = torch.zeros(1, unet["in_channels"], unet["sample_size"], unet["sample_size"])
    hidden = torch.zeros(1, tokens, unet["cross_attention_dim"])
    step = {"sample": sample, "timestep": torch.ones(1, dtype=torch.int64), "encoder_hidden_states": hidden}
    stock.vae.forward = stock.vae.decode
    graphs: Mapping[str, tuple[Any, dict[str, Any], str]] = {
        "text_encoder": (
            stock.text_encoder,
            {"input_ids": torch.zeros(1, tokens, dtype=torch.int64)},
            "last_hidden_state",
        ),
        "unet": (stock.unet, step, "out_sample"),
        "vae_decoder": (stock.vae, {"z": sample}, "sample"),
    }
    for part, (network, inputs, output) in graphs.items():
        with torch.no_grad():
            graph = openvino.convert_model(
                network, example_input=inputs, input=[_free(openvino, inputs[name]) for name in inputs]
            )
        for port, name in zip(graph.inputs, inputs, strict=True):
            port.get_tensor().set_names({"latent_sample" if name == "z" else name})
        graph.outputs[0].get_tensor().set_names({output})
        openvino.save_model(graph, f"{out}/{part}/openvino_model.xml", compress_to_fp16=True)
        shutil.copy(f"{model}/{part.removesuffix('_decoder')}/config.json", f"{out}/{part}/config.json")
    words = convert_tokenizer(stock.tokenizer, with_detokenizer=False)
    openvino.save_model(words, f"{out}/tokenizer/openvino_tokenizer.xml")
    # Its LCM scheduler (2026.4.1) ends the process with a segmentation fault; one step of DDIM is the same pass.
    stock.scheduler = DDIMScheduler.from_config(stock.scheduler.config)
    stock.scheduler.save_pretrained(f"{out}/scheduler")
    stock.save_config(out)
    return {"files": sorted(path.relative_to(out).as_posix() for path in Path(out).rglob("*.xml"))}


def _free(openvino: Any, array: Any) -> Any:
    """The shape of an input whose batch and sides are free; channels, tokens and widths are not."""
    others = array.shape[1:]
    return openvino.PartialShape([-1, others[0], -1, -1] if len(others) == 3 else [-1, *others])


ENGINES: Mapping[str, Callable[[str, int, int], Draw]] = {
    "stock": stock, "compiled": compiled, "genai": genai, "cpp": cpp
}  # fmt: skip
_DRAW: dict[str, Draw] = {}


def open(engine: str, folder: str, threads: int, side: int) -> dict[str, Any]:
    """Open a folder, with so many threads, for pictures of `side` pixels."""
    _DRAW[folder] = ENGINES[engine](folder, threads, side)
    return {"engine": engine}


def draw(folder: str, prompt: str) -> dict[str, Any]:
    """One picture; nothing of it comes back but how many bytes it has."""
    import numpy as np

    made = _DRAW[folder](prompt)
    return {"shape": np.asarray(made[0] if isinstance(made, list) else made).shape}


if __name__ == "__main__":
    answer({"open": open, "draw": draw, "export_genai": export_genai})
