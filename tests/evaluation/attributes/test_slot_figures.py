"""Captions that leave a hat open: what they say, how much of what they allow is drawn, dirt on white."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from evaluation.attributes.open_captions import OpenCaptions
from evaluation.attributes.slot_figures import ENTROPY, RIGHT, SLOT_FIGURES, STRAY
from evaluation.bench import Bench
from evaluation.draw import Draw
from evaluation.effort import Effort
from evaluation.line import Line
from evaluation.reference import Instruments, Reals
from metrics.features import Images
from metrics.judge_network import Judge
from metrics.labelled_images import LabelledImages
from tests.evaluation import styled_set
from tests.evaluation.styled_set import SLOTS
from tests.metrics.judges import attribute_judge

ROWS = [row[:3] for row in styled_set.rows("train")]
PICTURES = np.stack([styled_set.draw(*row) for row in ROWS])


@pytest.fixture(scope="module")
def judge() -> Judge:
    return attribute_judge(PICTURES, ROWS, SLOTS, steps=50)


def caption(thing: str, ground: str) -> str:
    return thing + ("" if ground == "white" else f" on {ground}")


def labelled() -> LabelledImages:
    captions = tuple(caption(thing, ground) for thing, _, ground in ROWS)
    labels = np.array([[*styled_set.THINGS].index(thing) for thing, *_ in ROWS])
    return LabelledImages(PICTURES, captions, labels, attributes=tuple(ROWS))


def drawing(styles: Sequence[str], dirt: int = 0) -> Draw:
    def draw(prompts: Sequence[object], seeds: Sequence[int]) -> Images:
        said = {caption(thing, ground): (thing, ground) for thing, _, ground in ROWS}
        images = []
        for prompt, seed in zip(prompts, seeds, strict=True):
            thing, ground = said[str(prompt)]
            images.append(styled_set.draw(thing, styles[seed % len(styles)], ground))
            images[-1][0, :dirt] = 240
        return np.stack(images)

    return draw


def line(judge: Judge, draw: Draw) -> Line:
    train = labelled()
    bench = Bench(Instruments(judge), Reals(train, train, {}), Effort(10, 32, seeds=8, prompts=1), SLOT_FIGURES)
    return bench.line("one", draw)


def test_both_styles_are_as_much_as_the_reals_show_and_one_is_nothing(judge: Judge) -> None:
    both, one = line(judge, drawing(["whole", "hollow"])), line(judge, drawing(["whole"]))
    assert both[RIGHT] == one[RIGHT] == 1
    spread, narrow = both[ENTROPY], one[ENTROPY]
    assert spread is not None and narrow is not None and spread.n == 32
    assert spread.own == 1 and 0.8 < spread.reals < 1  # eight of two styles are not always four and four
    assert narrow.ratio == 0 and "0.00 of the reals' entropy" in ENTROPY.remark(one, both)
    assert not ENTROPY.remark(both, both)


def test_dirt_on_white_is_counted_beside_the_picture_of_the_style_that_was_drawn(judge: Judge) -> None:
    clean, dirty = (line(judge, drawing(["whole", "hollow"], dirt))[STRAY] for dirt in (0, 2))
    assert clean == 0 and dirty is not None
    assert dirty == pytest.approx(2 / (16 * 16 - 8 * 8), abs=2e-3)


def test_captions_that_say_all_leave_nothing_open(judge: Judge) -> None:
    train = labelled()
    full = LabelledImages(PICTURES, tuple(", ".join(row) for row in ROWS), train.labels, attributes=tuple(ROWS))
    assert OpenCaptions.of(judge, full, 4) is None
    bench = Bench(Instruments(judge), Reals(full, full, {}), Effort(10, 32, seeds=8, prompts=1), SLOT_FIGURES)
    assert bench.floor().values == {"right": None, "entropy": None, "stray": None}
