"""The sets of the bars of learning: types that are thinned, names that nobody else has."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from base.errors import BadInput
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


def test_types_are_judged_on_their_own_held_out_characters(tmp_path: Path) -> None:
    folder = avatars(tmp_path / "whole", 600).folder
    kinds = [names[0] for names in ImageFolder(folder, "test").column("attributes")]
    least = min(kinds.count(name) for name in rare_types.THINNED)
    chosen = rare_types.held_out(folder, least + 1)
    assert [kinds[index] for index in chosen] == [name for name in rare_types.THINNED for _ in range(least + 1)]
    assert len(set(chosen)) < len(chosen)  # from the first again
    for row in (path := folder / "test" / "metadata.jsonl").read_text().splitlines():
        if json.loads(row)["attributes"][0] == "Alien":
            path.write_text(path.read_text().replace(row + "\n", ""))
    with pytest.raises(BadInput, match="holds out no Alien: draw more characters"):
        rare_types.held_out(folder, 1)


def test_every_picture_has_a_name_of_its_own(tmp_path: Path) -> None:
    whole = avatars(tmp_path / "whole", 100).folder
    kept_model.named(whole, tmp_path / "names")
    splits = [ImageFolder(tmp_path / "names", split) for split in ("train", "validation", "test")]
    names = [name for split in splits for name in split.captions()]
    assert len(names) == len(set(names)) == sum(map(len, splits)) and names[:2] == ["kakakaka", "kakakami"]
    assert (splits[0].images([5]) == ImageFolder(whole, "train").images([5])).all()
