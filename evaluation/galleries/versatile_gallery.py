"""Pictures of a model that knows pictures and words for its page: prompts, styles, walks, variations, transfers, captions.

python -m evaluation.galleries.versatile_gallery configs/icons/gallery.txt \
    --bundle BUNDLE --data icons --judge JUDGE --out docs/icons

Nothing is chosen: prompts stand in a file, pictures of the set are taken evenly, seeds are 0, 1, …; what the judge sees wrong
is shown in the order in which it came. Shapes: `N` images, `H W` pixels.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image

from base.command import run
from base.errors import BadInput
from base.runs import data_folder, trained
from data.attributed import SLOTS
from evaluation import image_sets, subjects
from evaluation.attributes.slot_judge import SlotJudge
from evaluation.draw import Draw, in_batches
from evaluation.galleries.prompt_gallery import walk
from evaluation.pages.gif import animate
from evaluation.pages.grid import grid, save_png
from evaluation.transfers.asked_by_pictures import transfers, variations
from evaluation.transfers.styled_images import StyledReals
from metrics import attribute_accuracy as attributes
from metrics import judge_network
from metrics.features import Images
from models import folder
from models.tasks.image_to_text import ImageToText
from runtime import prompts
from runtime.bundle import Bundle, open_bundle
from runtime.captioner import CaptionGenerator

SEEDS, COLUMNS, EXAMPLES, JUDGED = 24, 8, 16, 400
"""Seeds of the first prompt, pictures of a row, examples of each thing that pictures can do, pictures that the judge sees."""
VARIED = 3
"""Variations of each picture."""
THINGS = "dog face,penguin,pizza,rocket,red apple,octopus,umbrella,guitar"
SAID = ("text_style", "text_style_fr")
"""Kinds of caption that are shown, where the model knows them."""


@dataclass(frozen=True)
class Sources:
    """What draws and writes, and what it is shown."""

    bundle: Bundle
    draw: Draw
    """One step."""
    teacher: Draw | None
    reals: StyledReals
    styles: tuple[str, ...]
    backend: str = "auto"

    def drawn(self, wishes: Sequence[object], seeds: Sequence[int] | None = None) -> dict[str, Images]:
        """Rows of a grid: the teacher where there is one, and below it one step."""
        seeds = range(len(wishes)) if seeds is None else seeds
        above = {} if self.teacher is None else {"teacher": in_batches(self.teacher, wishes, seeds)}
        return {**above, "one step": in_batches(self.draw, wishes, seeds)}


def by_prompt(sources: Sources, texts: Sequence[str]) -> Iterator[tuple[str, Image.Image]]:
    """All prompts, and seeds of the first."""
    yield "prompts", grid(sources.drawn(texts), texts, COLUMNS)
    seeds = in_batches(sources.draw, [texts[0]] * SEEDS, range(SEEDS))
    yield "seeds", grid({texts[0]: seeds}, [f"seed {seed}" for seed in range(SEEDS)], COLUMNS)


def by_style(sources: Sources, things: Sequence[str]) -> Iterator[tuple[str, Image.Image]]:
    """A row a style, a column a thing, one seed."""
    rows = {style: [f"{thing}, {style}" for thing in things] for style in sources.styles}
    drawn = {style: in_batches(sources.draw, texts, [0] * len(texts)) for style, texts in rows.items()}
    yield "table", grid(drawn, things, len(things))


def by_picture(sources: Sources) -> Iterator[tuple[str, Image.Image]]:
    """Variations of held-out pictures, and transfers to combinations that training lacks, beside the real ones."""
    asked = variations(sources.reals.held_out.even(EXAMPLES))
    names = [f"{thing}, {style}" for thing, style in zip(asked.right.things, asked.right.styles, strict=True)]
    rows = {"picture": asked.content}
    rows |= {
        f"variation {turn + 1}": in_batches(sources.draw, asked.wishes, range(turn * 100, turn * 100 + len(names)))
        for turn in range(VARIED)
    }
    yield "variations", grid(rows, names, COLUMNS)

    asked_for = transfers(sources.reals.combinations.even(EXAMPLES), sources.reals.train)
    if asked_for is not None:
        names = [f"{a}, {b}" for a, b in zip(asked_for.right.things, asked_for.right.styles, strict=True)]
        rows = {"content": asked_for.content, "style": asked_for.style, **sources.drawn(asked_for.wishes)}
        yield "transfers", grid({**rows, "real": asked_for.right.images}, names, COLUMNS)


def by_words(sources: Sources) -> Iterator[tuple[str, Image.Image]]:
    """Held-out pictures and what is written of them; none where the bundle does not write."""
    if ImageToText.name not in sources.bundle.manifest.flows:
        return
    writer, shown = CaptionGenerator(sources.bundle, sources.backend), sources.reals.held_out.even(EXAMPLES)
    columns = [name for name in SAID if name in writer.columns] or [""]
    written = [writer.caption(list(shown.images), range(len(shown)), column) for column in columns]
    texts = [" / ".join(one.text or "(nothing)" for one in said) for said in zip(*written, strict=True)]
    yield "captions", grid({"picture": shown.images}, texts, COLUMNS)


def failures(sources: Sources, judge: SlotJudge, data: str) -> Iterator[tuple[str, Image.Image]]:
    """The first pictures of held-out captions in which the judge sees something else, above the real ones."""
    rows = next(iter(image_sets.open_kinds(data).values())).even(JUDGED)
    slots = judge.judge.config.slots
    images = in_batches(sources.draw, rows.captions, range(len(rows)))
    seen, targets = attributes.read(judge.judge, images), attributes.slot_indices(rows.attributes, slots).numpy()
    wrong = np.flatnonzero((seen != targets).any(axis=1))[:EXAMPLES]
    if len(wrong):
        told = [", ".join(_name(slots[slot], seen[row, slot]) for slot in np.flatnonzero(seen[row] != targets[row]))
                for row in wrong]  # fmt: skip
        names = [f"{rows.captions[row]} → {other}" for row, other in zip(wrong, told, strict=True)]
        yield "failures", grid({"one step": images[wrong], "real": rows.images[wrong]}, names, COLUMNS)


def walks(bundle: Bundle, things: Sequence[str], styles: Sequence[str]) -> Iterator[tuple[str, list[Image.Image]]]:
    """From thing to thing in the first style, and from style to style of the first thing, whose noise stays."""
    pipeline = folder.load(str(bundle.folder))
    yield "things", walk(pipeline, [f"{thing}, {styles[0]}" for thing in things[:6]])
    yield "styles", walk(pipeline, [f"{things[0]}, {style}" for style in styles], seeds=[0] * len(styles))


def _name(slot: Sequence[str], index: int) -> str:
    return slot[index] if index < len(slot) else "nothing"


def _styles(data: str) -> tuple[str, ...]:
    file = Path(data_folder(data)) / SLOTS
    slots: Mapping[str, list[str]] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    if not slots.get("style"):
        raise BadInput(f"{data} is no set of things in styles: its {SLOTS} names none")
    return tuple(slots["style"])


def main(
    file: Annotated[Path, typer.Argument(help="Prompts, one a line.")],
    bundle: Annotated[str, typer.Option(help="Bundle.")],
    data: Annotated[str, typer.Option(help="Its image set.")],
    out: Annotated[Path, typer.Option(help="Folder of the pictures.")],
    judge: Annotated[
        str | None, typer.Option(help="Run or folder of the judge; without one no failures are shown.")
    ] = None,
    teacher: Annotated[str | None, typer.Option(help="Run or folder of a teacher, shown above.")] = None,
    decoder: Annotated[str | None, typer.Option(help="Run of the teacher's decoder.")] = None,
    guidance: Annotated[float, typer.Option(help="Of the teacher.")] = 2.0,
    sampler: Annotated[str, typer.Option(help="Of the teacher.")] = "dpm-solver++",
    steps: Annotated[int, typer.Option(help="Of the teacher.")] = 50,
    things: Annotated[
        str, typer.Option(help="Columns of the table of styles; the first six are walked between.")
    ] = THINGS,
    backend: Annotated[str, typer.Option(help="Of the bundle.")] = "auto",
) -> None:
    """Write a picture of each kind and two walks; the last line is JSON."""
    opened, (draw,) = open_bundle(bundle), subjects.student_draws(bundle, backend=backend).values()
    named = subjects.Subjects(bundle, teacher or "", judge or "", data, decoder)
    guided = subjects.teacher_draw(subjects.open_teacher(named), steps)(guidance, sampler) if teacher else None
    sources = Sources(opened, draw, guided, image_sets.open_styled(data), _styles(data), backend)
    columns = [thing.strip() for thing in things.split(",")]
    texts = [str(row.input) for row in prompts.read(file)]
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for kind in (by_prompt(sources, texts), by_style(sources, columns), by_picture(sources), by_words(sources)):
        written += [str(save_png(picture, out / f"{name}.png")) for name, picture in kind]
    if judge:
        seeing = subjects.slot_judge(data, judge_network.load(trained(judge)))
        written += [str(save_png(picture, out / f"{name}.png")) for name, picture in failures(sources, seeing, data)]
    written += [str(animate(frames, out / f"{name}.gif")) for name, frames in walks(opened, columns, sources.styles)]
    print(json.dumps({"written": written}))


if __name__ == "__main__":
    run(main)
