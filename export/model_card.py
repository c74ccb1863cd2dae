"""The page that a model has on the Hub: figures, pictures, how to draw with it; it knows neither networks nor HTTP."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from base.errors import BadInput
from base.version import VERSION
from models.task import task_of
from runtime.manifest import Manifest

PICTURE = "picture.png"
QUALITY = "quality"
"""Folder of the figures and grids of an evaluation, on the Hub."""
_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)


@dataclass(frozen=True)
class ModelCard:
    """A page in Markdown with what it shows."""

    text: str
    files: Mapping[str, Path | bytes]
    """Path on the Hub → a file, or its content."""


def of_bundle(
    manifest: Manifest, repo: str, drawn: bytes, evaluation: Path | None = None, license: str | None = None
) -> ModelCard:
    """The page of a bundle. `drawn`: a picture of what it draws, as PNG; `evaluation`: what `ippo evaluate` wrote.

    BadInput: that folder holds no evaluation.
    """
    task, files = task_of(manifest), {PICTURE: drawn, **_grids(evaluation)}
    sizes = ", ".join(f"{width}×{height}" for width, height in manifest.sizes)
    example = task.text([*task.suggestions(), *task.examples(1)][0])
    parts = [
        front_matter(manifest.task, license, ["ippo", "one-step", "onnx", manifest.task]),
        f"# {manifest.model_name}",
        f"This model {task.does}: one step, no guidance, {sizes} pixels. Exported with ippo {VERSION}.",
        f"![What it draws]({PICTURE})",
        _usage(repo, example),
        *([_stock(repo, example)] if task.tokenized else []),
        "## Figures",
        *_evaluated(evaluation),
        *_gate(manifest),
    ]
    return ModelCard("\n\n".join(parts) + "\n", files)


def of_pipeline(task: str, repo: str, evaluation: Path | None = None, license: str | None = None) -> ModelCard:
    """The page of a diffusers folder, a teacher or a student without graphs. BadInput: as `of_bundle`."""
    parts = [
        front_matter(task, license, ["ippo", task]),
        f"# {repo.rpartition('/')[2]}",
        f"Trained with ippo {VERSION}. `ippo sample {repo}` draws with it.",
        *(["## Figures", *_evaluated(evaluation)] if evaluation else []),
    ]
    return ModelCard("\n\n".join(parts) + "\n", _grids(evaluation))


def own(text: str, task: str, license: str | None = None) -> ModelCard:
    """The user's page, with what the Hub reads at its top where it does not say that itself."""
    return ModelCard(
        text if _FRONT_MATTER.match(text) else f"{front_matter(task, license, ['ippo', task])}\n{text}", {}
    )


def front_matter(task: str, license: str | None, tags: Sequence[str]) -> str:
    """What the Hub reads of a page: YAML, whose values JSON's are."""
    values: dict[str, object] = {"library_name": "diffusers", "pipeline_tag": task, "tags": list(tags)}
    values |= {"license": license} if license else {}
    return "---\n" + "".join(f"{key}: {json.dumps(value)}\n" for key, value in values.items()) + "---"


def _usage(repo: str, example: str) -> str:
    said = json.dumps(example, ensure_ascii=False)
    return f"```bash\nippo serve --bundle hub:{repo}\nippo generate --bundle hub:{repo} {said}\n```"


def _stock(repo: str, example: str) -> str:
    """How diffusers draws with it, which knows prompts alone."""
    opened = f'pipe = DiffusionPipeline.from_pretrained("{repo}")'
    drawn = (
        f"image = pipe({json.dumps(example, ensure_ascii=False)}, num_inference_steps=1, guidance_scale=0).images[0]"
    )
    return f"```python\nfrom diffusers import DiffusionPipeline\n\n{opened}\n{drawn}\n```"


def _gate(manifest: Manifest) -> list[str]:
    """What the export measured."""
    rows = [f"| {name} | {figures['psnr']:.1f} dB |" for name, figures in manifest.parity.items() if "psnr" in figures]
    table = "\n".join(["| runtime | PSNR of its pictures against torch in float32 |", "| --- | ---: |", *rows])
    versions = ", ".join(f"{name} {version}" for name, version in manifest.versions.items())
    return [table, f"Weights in {manifest.precision}, safetensors; graphs in ONNX. Exported with {versions}."]


def _evaluated(evaluation: Path | None) -> list[str]:
    """The figures and grids of an evaluation, as it wrote them."""
    if evaluation is None:
        return []
    pictures = [f"![{Path(name).stem.replace('-', ' ')}]({name})" for name in _grids(evaluation)]
    return [(evaluation / "quality.md").read_text(encoding="utf-8").strip(), *pictures]


def _grids(evaluation: Path | None) -> dict[str, Path | bytes]:
    """BadInput: no folder that `ippo evaluate` wrote."""
    if evaluation is None:
        return {}
    if not (evaluation / "quality.md").is_file():
        raise BadInput(f"{evaluation} holds no quality.md: ippo evaluate --out writes it")
    return {f"{QUALITY}/{file.name}": file for file in sorted(evaluation.glob("*.png"))}
