"""Puts a trained model where the models that ship lie: bundle, judge, figures and card, within the bytes that may ship.

python -m export.ship icons --bundle runs/icons/bundle --judge icons/judge --quality runs/icons/quality --in-place-of emoji

Nothing is trained, drawn or measured here; a card that is there already is a person's and stays.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Annotated

import typer

from base import shipped
from base.command import run
from base.errors import BadInput
from base.files import atomic_folder, sha256
from base.runs import trained
from models.task import task_of
from runtime import hub
from runtime.bundle import Bundle, open_bundle
from runtime.manifest import MANIFEST

CARD, FIGURES = "README.md", (".json", ".md", ".png")
ALL, BUNDLE = 44_000_000, 26_000_000
"""Bytes that may ship in all, and of them in one bundle."""


def ship(name: str, bundle: Bundle, judge: Path, quality: Path, teacher: Path | None, instead: str | None) -> Path:
    """The folder of the model `name`, whole or as it was before.

    `teacher`: a folder that does not ship; the card names its weights. `instead`: the model that leaves, which does not count.
    BadInput: too many bytes, or no figures there.
    """
    if not (quality / "quality.md").is_file():
        raise BadInput(f"{quality} holds no quality.md: ippo evaluate --out writes it")
    out = shipped.PRETRAINED / name
    with atomic_folder(out) as folder:
        for file in (*bundle.manifest.files, MANIFEST):
            (folder / "student" / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(bundle.folder / file, folder / "student" / file)
        (folder / "student" / MANIFEST).write_bytes(hub.unstamped((bundle.folder / MANIFEST).read_bytes()))
        shutil.copytree(judge, folder / "judge")
        (folder / "quality").mkdir()
        for picture in sorted(quality.iterdir()):
            if picture.suffix in FIGURES:
                shutil.copyfile(picture, folder / "quality" / picture.name)
        own = out / CARD
        text = own.read_text(encoding="utf-8") if own.is_file() else _card(name, bundle, folder / "quality", teacher)
        (folder / CARD).write_text(text, encoding="utf-8")
        _weigh(name, folder, instead)
    return out


def _weigh(name: str, folder: Path, instead: str | None) -> None:
    """BadInput: more bytes than may ship."""
    served = _bytes(folder / "student")
    others = [one for one in shipped.PRETRAINED.iterdir() if one.is_dir() and one.name[0] != "." and one.name != name]
    whole = _bytes(folder) + sum(_bytes(one) for one in others if one.name != instead)
    for what, size, most in (("the bundle", served, BUNDLE), ("all that ships", whole, ALL)):
        if size > most:
            raise BadInput(f"{name}: {what} would have {size / 1e6:.1f} MB; accepted: {most / 1e6:g} MB")


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _card(name: str, bundle: Bundle, quality: Path, teacher: Path | None) -> str:
    """Figures, pictures, and how to draw: what a person goes on from."""
    manifest, place = bundle.manifest, f"models/pretrained/{name}"
    sizes = ", ".join(f"{width}×{height}" for width, height in manifest.sizes)
    parts = [f"# {name}", f"This model {task_of(manifest).does}: one step, no guidance, {sizes} pixels."]
    parts += [f"```bash\nippo serve --bundle {place}/student\n```"]
    if teacher is not None:
        lines = [f"- `{file.relative_to(teacher)}` {sha256(file)}" for file in sorted(teacher.rglob("*.safetensors"))]
        parts.append("\n".join(["Its teacher does not ship. SHA-256 of its weights:", "", *lines]))
    parts += ["## Figures", (quality / "quality.md").read_text(encoding="utf-8").strip()]
    parts += [f"![{file.stem.replace('-', ' ')}](quality/{file.name})" for file in sorted(quality.glob("*.png"))]
    return "\n\n".join(parts) + "\n"


def main(
    name: Annotated[str, typer.Argument(help="What the model is called.")],
    bundle: Annotated[Path, typer.Option(help="Bundle.")],
    judge: Annotated[str, typer.Option(help="Run or folder of the judge.")],
    quality: Annotated[Path, typer.Option(help="Folder that ippo evaluate wrote.")],
    teacher: Annotated[str | None, typer.Option(help="Run or folder of the teacher that does not ship.")] = None,
    in_place_of: Annotated[str | None, typer.Option(help="The model that leaves.")] = None,
) -> None:
    """Put the model there; the last line is JSON."""
    left_out = trained(teacher) if teacher else None
    out = ship(name, open_bundle(bundle), trained(judge), quality, left_out, in_place_of)
    print(json.dumps({"written": str(out), "bytes": _bytes(out), "bundle": _bytes(out / "student")}))


if __name__ == "__main__":
    run(main)
