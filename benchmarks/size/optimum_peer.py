"""optimum-onnx behind lines of JSON: what a benchmark or a test in another environment asks of it; it knows nothing of ippo.

Run by the Python of that environment (`make interop`): numpy, optimum-onnx and the standard library alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from optimum.exporters.onnx import main_export
from optimum.onnxruntime import ORTStableDiffusionPipeline

from benchmarks.peer_side import answer

PIPELINES: dict[str, Any] = {}


def open(folder: str, threads: int = 0) -> dict[str, Any]:
    """Open a folder of graphs; `threads` 0 is ONNX Runtime's own choice."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    PIPELINES[folder] = ORTStableDiffusionPipeline.from_pretrained(folder, session_options=options)
    PIPELINES[folder].set_progress_bar_config(disable=True)
    return {"parts": sorted(PIPELINES[folder].components)}


def export(model: str, out: str) -> dict[str, Any]:
    """A diffusers folder → optimum's own graphs in float32."""
    main_export(model, Path(out), task="text-to-image", do_validation=False, no_post_process=True)
    return {"files": sorted(path.relative_to(out).as_posix() for path in Path(out).rglob("*.onnx"))}


def draw(folder: str, prompt: str, steps: int = 1, latents: str = "", out: str = "") -> dict[str, Any]:
    """One image without guidance; `latents` and `out` are files of numpy, the image is `(N, H, W, 3)` in [0, 1]."""
    noise = {"latents": torch.from_numpy(np.load(latents))} if latents else {}
    options = {"num_inference_steps": steps, "guidance_scale": 0.0, "output_type": "np", **noise}
    images = PIPELINES[folder](prompt, **options).images
    if out:
        np.save(out, images)
    return {"shape": images.shape}


if __name__ == "__main__":
    answer({"open": open, "export": export, "draw": draw})
