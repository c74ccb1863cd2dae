"""The sets of the bars of learning: types that are thinned, names that nobody else has."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from benchmarks.learning import kept_model, rare_types
from data.avatars import avatars
from data.imagefolder import ImageFolder


def types(folder: Path, split: str) -> Counter[str]:
    return Counter(names[0] for names in ImageFolder(folder, split).column("attributes"))


def test_types_are_thinned_in_training_alone(tmp_path: Path) -> None:
    whole = avatars(tmp_path / "whole", 200).folder
    before = types(whole, "train")
    (common, many), *_ = before.most_common()
    rare_types.thin(whole, tmp_path / "thinned", {common: 3, "Alien": 10**6})
    assert types(tmp_path / "thinned", "train") == {**before, common: 3} and many > 3
    assert types(tmp_path / "thinned", "validation") == types(whole, "validation")
    pictures = len(list((tmp_path / "thinned" / "train").glob("*.png")))
    assert pictures == sum(before.values()) - many + 3
    assert json.loads((tmp_path / "thinned" / "slots.json").read_text())["type"]


def test_every_picture_has_a_name_of_its_own(tmp_path: Path) -> None:
    whole = avatars(tmp_path / "whole", 100).folder
    kept_model.named(whole, tmp_path / "names")
    splits = [ImageFolder(tmp_path / "names", split) for split in ("train", "validation", "test")]
    names = [name for split in splits for name in split.captions()]
    assert len(names) == len(set(names)) == sum(map(len, splits)) and names[:2] == ["kakakaka", "kakakami"]
    assert (splits[0].images([5]) == ImageFolder(whole, "train").images([5])).all()
