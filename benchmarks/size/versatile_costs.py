"""What the published Versatile Diffusion costs at full size, with random weights: memory, time and disk; it draws nothing.

python -m benchmarks.size.versatile_costs graphs    # the export of the image flow, the text flow, Optimus' words, in turn
python -m benchmarks.size.versatile_costs flows     # a whole folder opens in float32, and four flows run a step

Networks are made and traced in fp16, as a bundle stores them; nothing is computed but in `flows`.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from safetensors.torch import save_file
from torch import Tensor, nn

from benchmarks.peer_side import peak_gb
from benchmarks.size import random_versatile
from benchmarks.size.random_versatile import SMALL_OPTIMUS, SMALL_PLAN, filled, image_unet, store_unets, text_unet
from evaluation.result import Bar, bars_result, publish
from export import graphs
from export.convert_versatile import OPTIMUS, PLAN
from models import folder as folders
from models.labels import Seen, Wish
from models.optimus import Optimus
from models.published_layout import NETWORK
from models.published_unet import IMAGE, TEXT
from runtime.graph_networks import DenoiserGraph, NextTokenGraph

app = typer.Typer(add_completion=False, help=__doc__)
Small = Annotated[bool, typer.Option("--small", help="Tiny networks of the same classes.")]
MEMORY_GB = 24.0
"""The bar of either."""
TOKENS, PICTURES = 77, 2 * 257
"""Of a prompt, and of two pictures."""


@app.command("graphs")
def write_graphs(flow: str = "all", small: Small = False) -> None:
    """Trace the networks and write their graphs; each network is gone before the next is made. One alone: `--flow text`."""
    bars: list[Bar] = []
    for name, write in WRITERS.items():
        if flow not in ("all", name):
            continue
        with tempfile.TemporaryDirectory() as scratch:
            began = time.perf_counter()
            export, stored = write(Path(scratch), small)
            made, graph = time.perf_counter(), export()
            bars += [
                Bar(f"{name}: GB of weights", stored / 1e9),
                Bar(f"{name}: seconds to make them", made - began),
                Bar(f"{name}: seconds of the export", time.perf_counter() - made),
                Bar(f"{name}: graph MB", graph.stat().st_size / 1e6),
                Bar(f"{name}: peak GB so far", peak_gb(), most=MEMORY_GB),
            ]
            print(json.dumps({bar.what: bar.value for bar in bars[-5:]}), flush=True)
            del export
    publish(bars_result("The graphs of the published Versatile Diffusion", bars), None)


@app.command()
@torch.no_grad()
def flows(small: Small = False) -> None:
    """Write a whole folder, open it in float32, and run each of the four flows for a step of 8×8 latents, or 768 numbers."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, began = Path(scratch) / "published", time.perf_counter()
        random_versatile.main(folder, small)
        bars = [Bar("seconds to write it", time.perf_counter() - began)]
        began = time.perf_counter()
        image = folders.load(folder)
        bars += [Bar("seconds to open it", time.perf_counter() - began), Bar("peak GB when it is open", peak_gb())]
        text, picture = image.flow("image-to-text"), np.zeros((64, 64, 3), np.uint8)
        small_image = replace(image, latent_shape=(4, 8, 8))
        for name, flow, given in (
            ("text → image", small_image, "a cat"),
            ("image → image", small_image, Wish(content=picture)),
            ("image → text", text, Seen(picture)),
            ("text → text", text, "a cat"),
        ):
            began, drawn = time.perf_counter(), flow.sample([given], [0], 1, 7.5)
            flow.autoencoder.output(drawn)
            bars.append(Bar(f"{name}: seconds of a guided step and its decoder", time.perf_counter() - began))
            print(json.dumps({bars[-1].what: bars[-1].value, "finite": bool(drawn.isfinite().all())}), flush=True)
        bars.append(Bar("peak GB", peak_gb(), most=MEMORY_GB))
    publish(bars_result("The four flows of the published Versatile Diffusion", bars), None)


Made = tuple[Callable[[], Path], int]
"""What writes a graph, and bytes of its weights."""


def image_flow(folder: Path, small: bool) -> Made:
    """The image UNet with both kinds of context, whose mix makes three flows of one graph."""
    plan = SMALL_PLAN if small else PLAN
    unet = image_unet(plan)
    files = store_unets(folder, unet, nn.Module())
    side = int(plan["sample_size"])
    inputs = {"sample": torch.randn(2, 4, side, side), **_contexts(int(plan["cross_attention_dim"]))}
    order = [files[IMAGE], files[TEXT]]
    return lambda: graphs.write("denoiser", DenoiserGraph(unet), inputs, order), _size(order)


def text_flow(folder: Path, small: bool) -> Made:
    """The text UNet over the image UNet's transformers: picture → text, text → text, and both."""
    plan = SMALL_PLAN if small else PLAN
    image, text = image_unet(plan), text_unet(plan)
    text.share(image)
    files = store_unets(folder, image, text)
    inputs = {"sample": torch.randn(2, 768, 1, 1), **_contexts(int(plan["cross_attention_dim"]))}
    order = [files[TEXT], files[IMAGE]]
    return lambda: graphs.write("denoiser", DenoiserGraph(text), inputs, order), _size(order)


def words(folder: Path, small: bool) -> Made:
    """One word of Optimus' GPT-2."""
    optimus: Optimus = filled(lambda: Optimus.from_config(SMALL_OPTIMUS if small else OPTIMUS))
    (folder / "optimus").mkdir()
    file = folder / "optimus" / NETWORK
    save_file(optimus.state_dict(), file, metadata={"format": "pt"})
    inputs = {
        "latent_sample": torch.randn(2, 768, 1, 1),
        "token_ids": torch.zeros(2, 1, dtype=torch.long),
        "position": torch.tensor(3),
        "past": torch.randn(2, *optimus.past_shape),
    }
    return lambda: graphs.write("next_token", NextTokenGraph(Words(optimus)), inputs, file), _size([file])


WRITERS = {"image": image_flow, "text": text_flow, "words": words}


class Words(nn.Module):
    """Optimus as its autoencoder calls it, without tokenizers."""

    def __init__(self, optimus: Optimus) -> None:
        super().__init__()
        self.optimus = optimus

    def next_token(self, latents: Tensor, ids: Tensor, position: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """Latents `(N, L, 1, 1)`, tokens `(N, 1)` at a place `()`, past `(N, K, heads, P, d)` → logits `(N, V)`, new past."""
        return self.optimus.step(latents[:, :, 0, 0], ids, position, past)


def _contexts(width: int) -> dict[str, Tensor]:
    """A text and two pictures half and half, of two samples."""
    return {
        "timestep": torch.tensor(999),
        "encoder_hidden_states": torch.randn(2, TOKENS, width),
        "image_embeds": torch.randn(2, PICTURES, width),
        "mix": torch.full((2,), 0.5),
    }


def _size(files: list[Path]) -> int:
    return sum(file.stat().st_size for file in files)


if __name__ == "__main__":
    app()
