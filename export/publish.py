"""A bundle, or a diffusers folder, onto the Hugging Face Hub in one commit, safetensors only; it knows no network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from base.errors import BadInput
from export import model_card
from export.model_card import ModelCard
from models import folder as folders
from models.task import task_of
from runtime import backend as backends
from runtime import hub, images
from runtime.bundle import Bundle, open_bundle
from runtime.generator import Generator, Request
from runtime.manifest import MANIFEST
from runtime.provenance import of_request, together

CARD = "README.md"
_PICTURES = 8
_COLUMNS = 4
_PLAIN = (".safetensors", ".json", ".txt", ".model")
"""What of a diffusers folder goes up; graphs only as part of a bundle."""
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


@dataclass(frozen=True)
class PushOptions:
    """How a model appears on the Hub."""

    private: bool = False
    license: str | None = None
    """As the Hub writes it: `apache-2.0`, `cc-by-4.0`, …"""
    evaluation: Path | None = None
    """Folder that `ippo evaluate` wrote: its figures and grids go into the page."""
    message: str = "ippo push"


def push(folder: Path, repo: str, options: PushOptions | None = None) -> str:
    """Write `folder` as the model `repo` of the Hub, made if it is not there; returns `hub:user/name@revision`.

    A README.md in the folder is the page; without one it is written: figures, a picture, how to draw. BadInput: neither a
    bundle nor a diffusers folder, pickles, no such name, the Hub refuses or cannot be reached.
    """
    options = options or PushOptions()
    hub.check_repo(repo)
    if (folder / MANIFEST).is_file():
        bundle = open_bundle(folder)
        bundle.check_draws()  # a page shows what it draws
        files: dict[str, Path | bytes] = {name: folder / name for name in bundle.manifest.files}
        files[MANIFEST] = hub.unstamped((folder / MANIFEST).read_bytes())
        task = bundle.manifest.task
    else:
        bundle, files, task = None, _pipeline_files(folder), folders.task_at(folder)
    if (folder / CARD).is_file():
        card = model_card.own((folder / CARD).read_text(encoding="utf-8"), task, options.license)
    elif bundle:
        card = model_card.of_bundle(bundle.manifest, repo, _picture(bundle), options.evaluation, options.license)
    else:
        card = model_card.of_pipeline(task, repo, options.evaluation, options.license)
    return f"{hub.PREFIX}{repo}@{_commit(repo, files, card, options)}"


def _commit(repo: str, files: Mapping[str, Path | bytes], card: ModelCard, options: PushOptions) -> str:
    client = hub.api()
    from huggingface_hub import CommitOperationAdd

    everything = {**files, **card.files, CARD: card.text.encode()}
    operations = [CommitOperationAdd(name, content) for name, content in everything.items()]
    with hub.explained(f"{hub.PREFIX}{repo}"):
        client.create_repo(repo, private=options.private, exist_ok=True)
        return str(client.create_commit(repo, operations, commit_message=options.message).oid)


def _pipeline_files(folder: Path) -> dict[str, Path | bytes]:
    """BadInput: no diffusers folder, or weights that are no safetensors."""
    if not (folder / "model_index.json").is_file():
        raise BadInput(
            f"{folder} is neither a bundle nor a diffusers folder: it has no {MANIFEST} and no model_index.json"
        )
    every = sorted(file for file in folder.rglob("*") if file.is_file())
    if pickles := [file for file in every if file.suffix in _PICKLES]:
        raise BadInput(
            f"{pickles[0]} is a pickle, which nobody should have to open: ippo convert makes safetensors of it"
        )
    return {file.relative_to(folder).as_posix(): file for file in every if file.suffix in _PLAIN}


def _picture(bundle: Bundle) -> bytes:
    """Eight pictures of the task's own examples, as one PNG that says what made it."""
    task, manifest = task_of(bundle.manifest), bundle.manifest
    generator = Generator(bundle, backends.load("auto", bundle))
    inputs = [*task.suggestions(), *task.examples(_PICTURES)][:_PICTURES]
    requests = [Request(input, seed) for seed, input in enumerate(inputs)]
    pixels = images.tile(generator.generate(requests), _COLUMNS)  # (H, W, 3)
    sources = [of_request(task, request, 1, manifest.model_name, bundle.hash) for request in requests]
    return images.encode(pixels, "png", together(sources))
