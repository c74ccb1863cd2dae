"""Slots by kind of caption: each source's shares on known and unknown things, dirt on white, what is decoded again."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from evaluation.attributes import slots_by_kind
from evaluation.attributes.slot_judge import SlotJudge
from evaluation.attributes.slots_by_kind import AUTOENCODER, REALS, KindLine
from metrics.features import Images
from metrics.judge_network import Judge
from metrics.labelled_images import LabelledImages
from tests.metrics.test_attribute_accuracy import ROWS, pictures, trained  # noqa: F401

CAPTIONS = tuple(", ".join(row) for row in ROWS)


def labelled(rows: Sequence[int], attributes: Sequence[tuple[str, ...]] = ROWS) -> LabelledImages:
    return LabelledImages(
        pictures()[list(rows)],
        tuple(CAPTIONS[row] for row in rows),
        np.array(rows, np.int64),
        attributes=tuple(attributes[row] for row in rows),
    )


def obedient(prompts: Sequence[str], seeds: Sequence[int]) -> Images:
    return np.stack([pictures()[CAPTIONS.index(prompt)] for prompt in prompts])


def deaf(prompts: Sequence[str], seeds: Sequence[int]) -> Images:
    """A man with a cap, whatever is requested."""
    return np.concatenate([pictures()[:1]] * len(prompts))


def softened(images: Images) -> Images:
    return np.asarray(images.astype(int) * 9 // 10, np.uint8)


@pytest.fixture
def lines(trained: Judge) -> dict[tuple[str, str], KindLine]:  # noqa: F811
    strange = [("Yeti", "Cap"), ("Ape",), ("Crown", "Man"), ("Yeti", "Cap")]
    kinds = {"seen": labelled([0, 1, 2]), "unseen-thing": labelled([0, 3], strange)}
    draws = {"obedient": obedient, "deaf": deaf}
    judge = SlotJudge(trained, ("type", "hat"))
    found = slots_by_kind.by_kind(judge, labelled([0, 1, 2, 3]), kinds, draws, softened, 10, batch=2)
    return {(line.kind, line.source): line for line in found}


def test_every_slot_is_seen_by_kind(lines: dict[tuple[str, str], KindLine]) -> None:
    for source in (REALS, "obedient"):
        line = lines["seen", source]
        assert (line.slots, line.whole, line.nearest, line.n) == ({"type": 1, "hat": 1}, 1, 1, 3)
    wrong = lines["seen", "deaf"]
    assert wrong.slots == {"type": pytest.approx(2 / 3), "hat": pytest.approx(1 / 2)}
    assert wrong.whole == wrong.nearest == pytest.approx(1 / 3)
    assert all(math.isnan(line.stray) for line in lines.values())


def test_what_the_judge_does_not_know_is_left_to_prototypes(lines: dict[tuple[str, str], KindLine]) -> None:
    line = lines["unseen-thing", "obedient"]
    assert math.isnan(line.slots["type"]) and line.slots["hat"] == line.whole == line.nearest == 1
    assert lines["unseen-thing", "deaf"].whole == 1 and lines["unseen-thing", "deaf"].nearest == 0.5


def test_what_is_decoded_again_has_an_error(lines: dict[tuple[str, str], KindLine]) -> None:
    again = lines["seen", AUTOENCODER]
    assert again.psnr is not None and 15 < again.psnr < 40
    assert again.detail == pytest.approx(0.9, abs=0.02)
    assert lines["seen", "obedient"].psnr is None


def test_dirt_is_looked_for_where_the_ground_is_white(trained: Judge) -> None:  # noqa: F811
    images = np.full((2, 24, 24, 3), 255, np.uint8)
    images[:, 8:16, 8:16] = 0
    rows = LabelledImages(images, ("thing, white",) * 2, np.array([0, 1]), attributes=(("white",), ("grey",)))

    def dirty(prompts: Sequence[str], seeds: Sequence[int]) -> Images:
        spotted = images[list(seeds)].copy()
        spotted[0, :, 0] = 200
        return spotted

    judge = SlotJudge(trained, ("type", "hat"))
    found = slots_by_kind.by_kind(judge, rows, {"seen": rows}, {"dirty": dirty}, lambda same: same, 2)
    reals, again, drawn = found
    assert reals.stray == again.stray == 0 and again.psnr == math.inf
    assert drawn.stray == pytest.approx(24 / (24 * 24 - 10 * 10))
    sheet = slots_by_kind.sheet(found)
    assert sheet.heads[5] == "not white outside ↓" and sheet.rows[2][5] == "0.050"
    assert {len(row) for row in sheet.rows} == {len(sheet.heads)} and "nan" not in str(sheet.rows)


def test_the_sheet_has_a_row_a_source_and_kind(lines: dict[tuple[str, str], KindLine]) -> None:
    sheet = slots_by_kind.sheet([*lines.values()])
    assert sheet.heads[1:5] == ["type ↑", "hat ↑", "all ↑", "nearest label ↑"] and "not white" not in str(sheet.heads)
    assert [row[0] for row in sheet.rows] == [f"{kind}: {source}" for kind, source in lines]
    assert "nan" not in str(sheet.rows)
