"""Captions whose content is elsewhere: never taken for captions, always told."""

from __future__ import annotations

from pathlib import Path

import pytest

from base.errors import BadInput
from data.sources import find
from tests.data.pictures import captioned, picture

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "a" * 64 + "\nsize 12\n"


def test_a_caption_that_is_a_pointer_or_a_dangling_link_is_dropped_with_what_brings_it(tmp_path: Path) -> None:
    captioned(tmp_path, "a.png", picture(0), caption="a cat")
    captioned(tmp_path, "b.png", picture(1), caption=POINTER)
    captioned(tmp_path, "c.png", picture(2), caption=None)
    (tmp_path / "c.txt").symlink_to(tmp_path / "gone" / "c.txt")
    (tmp_path / "lonely.txt").symlink_to(tmp_path / "gone" / "lonely.txt")

    found = find(tmp_path)

    assert [(one.path.name, one.text) for one in found.captioned] == [("a.png", "a cat")]
    reasons = {one.what: one.why for one in found.dropped}
    assert "git-lfs pointer" in reasons["b.txt"]
    assert "link to content that is not here" in reasons["c.txt"]
    assert "link to content that is not here" in reasons["lonely.txt"]


def test_where_every_caption_is_a_pointer_the_message_says_what_to_do(tmp_path: Path) -> None:
    for number, name in enumerate(("a.png", "b.png")):
        captioned(tmp_path, name, picture(number), caption=POINTER)
    with pytest.raises(BadInput, match=r"a\.txt is a git-lfs pointer, its content is not here: run `git lfs pull`"):
        find(tmp_path)
