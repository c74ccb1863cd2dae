"""Folders of both flows that are not whole, or whose parts do not fit: one line each; no foreign module is imported."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from base.errors import BadInput
from models import folder as folders
from tests import tiny

WEIGHTS = "diffusion_pytorch_model"
Change = Callable[[Path], object]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "both"
    folders.save(tiny.versatile_student(), folder)
    return folder


def changed(file: str, **values: Any) -> Change:
    def change(folder: Path) -> None:
        content = json.loads((folder / file).read_text())
        (folder / file).write_text(json.dumps({**content, **values}))

    return change


def without(part: str) -> Change:
    return lambda folder: shutil.rmtree(folder / part)


def pickled(folder: Path) -> None:
    (folder / "text_unet" / f"{WEIGHTS}.safetensors").rename(folder / "text_unet" / f"{WEIGHTS}.bin")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (without("text_unet"), "is incomplete: it has no text_unet/config.json"),
        (without("image_encoder"), "is incomplete: it has no image_encoder/config.json"),
        (without("scheduler"), "is incomplete: it has no scheduler/scheduler_config.json"),
        (without("text_scheduler"), "is incomplete: it has no text_scheduler/scheduler_config.json"),
        (without("tokenizer"), "is incomplete: it has no tokenizer/vocab.json"),
        (pickled, f"{WEIGHTS}.bin can hold code and is not read: save it as safetensors"),
        (changed("text_unet/config.json", width=24), "does not fit the Writer"),
        (changed("text_unet/config.json", context_width=16), "does not fit the Writer"),
        (changed("text_unet/config.json", vocabulary=50), "does not fit the Writer"),
        (changed("image_encoder/config.json", width=16), "does not fit the ContextEncoder"),
        (changed("image_encoder/config.json", pool_tokens=3), "does not fit the ContextEncoder"),
        (changed("columns/config.json", columns=["text"]), "does not fit the Columns"),
        (changed("text_scheduler/scheduler_config.json", _class_name="NoScheduler"), "scheduler NoScheduler is none"),
    ],
)
def test_a_folder_that_is_not_whole_is_one_line(saved: Path, tmp_path: Path, change: Change, says: str) -> None:
    folder = Path(shutil.copytree(saved, tmp_path / "both"))
    change(folder)
    with pytest.raises(BadInput, match=says) as caught:
        folders.load(folder)
    assert "\n" not in str(caught.value)


def test_a_module_that_the_index_names_is_not_imported(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(saved, tmp_path / "both"))
    (tmp_path / "foreign.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    changed("model_index.json", image_encoder=["foreign", "Encoder"])(folder)
    assert folders.load(folder).is_student
    assert not (tmp_path / "imported").exists()
