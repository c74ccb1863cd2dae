"""Of a set in which each name is one picture's: the model that is kept beside the best of all snapshots, by names drawn.

python -m benchmarks.learning.kept_model          # 800 characters, one caption each

A name counts as drawn where the picture of the guided teacher lies nearer to that name's own picture than to any other's.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
import yaml
from numpy.typing import NDArray

from base.command import run
from base.files import atomic_folder
from base.runs import run_folder, runs_root, trained
from data.avatars import avatars
from data.imagefolder import ImageFolder
from evaluation.result import Bar, bars_result, publish
from models import folder as folders
from training.launch import launch

LEAST = 0.95
"""Named top 1 of the model that is kept ÷ of the best snapshot."""
UNET: dict[str, Any] = {
    "sample_size": 24,
    "block_out_channels": [16, 32, 32],
    "down_block_types": ["DownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D"],
    "layers_per_block": 1,
    "attention_head_dim": 4,
    "norm_num_groups": 8,
}
"""Of the avatars' teacher, of half its width: what matters here is the order of its snapshots."""
SYLLABLES = ("ka", "mi", "zo", "ru", "te", "lo", "pa", "shi", "ve", "no")


def name(number: int) -> str:
    """A made-up name of a number below 10,000: `kamizoru`; no word comes in two of them."""
    return "".join(SYLLABLES[int(digit)] for digit in f"{number:04d}")


def named(whole: Path, out: Path) -> None:
    """A set of characters as one of names: each picture has a caption that no other has."""
    if out.is_dir():
        return
    with atomic_folder(out) as hidden:
        number = 0
        for split in ("train", "validation", "test"):
            images = ImageFolder(whole, split)
            (hidden / split).mkdir(parents=True)
            rows = []
            for source in images.sources:
                assert isinstance(source, Path)
                (hidden / split / source.name).write_bytes(source.read_bytes())
                rows.append({"file_name": source.name, "text": name(number), "label": number})
                number += 1
            (hidden / split / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def top1(folder: Path, data: Path, count: int) -> float:
    """Share of `count` training names whose picture is the nearest to what the teacher draws for them."""
    images, teacher = ImageFolder(data, "train"), folders.load(folder)
    rows = np.linspace(0, len(images) - 1, min(count, len(images))).astype(int)
    texts = [images.captions()[row] for row in rows]
    drawn = teacher.generate(texts, range(len(texts)), 20, 2.0)
    distances = _flat(drawn) @ _flat(images.images()).T  # (N, P), of lengths 1
    return float((distances.argmax(axis=1) == rows).mean())


def _flat(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Images `(N, H, W, 3)` as vectors of mean 0 and length 1."""
    flat = images.reshape(len(images), -1).astype(np.float64)
    flat -= flat.mean(axis=1, keepdims=True)
    return flat / np.linalg.norm(flat, axis=1, keepdims=True).clip(min=1e-9)


def configuration(under: str, data: Path, steps: int, snapshots: int) -> dict[str, Any]:
    """A small teacher from scratch of the names of `data`; every name is a class, those that are held out too."""
    splits = [ImageFolder(data, split).captions() for split in ("train", "validation", "test")]
    return {
        "run": under,
        "data": str(data),
        "base": {"family": "ddpm", "classes": [text for split in splits for text in split], "unet": UNET},
        "train_conditioner": True,
        "optimizer": {"name": "muon", "rate": 1e-2},
        "loop": {
            "steps": steps,
            "precision": "bf16",
            "attention": "math",
            "ema": 0.99,
            "validate_every": max(1, steps // snapshots),
            "snapshots": True,
        },
    }


def main(
    count: Annotated[int, typer.Option(help="Pictures of the set.")] = 800,
    steps: Annotated[int, typer.Option(help="Steps of the teacher.")] = 2400,
    snapshots: Annotated[int, typer.Option(help="Snapshots that are compared.")] = 8,
    asked: Annotated[int, typer.Option(help="Names that are drawn of each.")] = 128,
    out: Annotated[Path | None, typer.Option(help="Stem of the results.")] = None,
) -> None:
    """Train the teacher where it is missing; draw names with every snapshot."""
    whole, data = (runs_root() / "data" / title for title in (f"avatars-{count}", f"names-{count}"))
    avatars(whole, count)
    named(whole, data)
    under = f"evidence/names-{count}-{steps}"
    run_folder(under).mkdir(parents=True, exist_ok=True)
    file = run_folder(under) / "names.yaml"
    file.write_text(yaml.safe_dump(configuration(under, data, steps, snapshots)))
    launch("teacher", file)
    curve = {int(one.name): top1(one, data, asked) for one in (run_folder(under) / "snapshots").iterdir()}
    kept, best = top1(trained(under), data, asked), max(curve.values())
    bars = [Bar("named top 1, kept ÷ best snapshot", kept / max(best, 1e-9), LEAST), Bar("named top 1, kept", kept)]
    figures = {"snapshots": dict(sorted(curve.items())), "kept": kept}
    publish(
        bars_result("The model that is kept of a set of names", bars, {"N": asked, "pictures": count}, figures), out
    )


if __name__ == "__main__":
    run(main)
