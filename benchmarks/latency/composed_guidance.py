"""One guided step with several attributes in one pass, beside as many steps of one attribute each; it knows no quality.

python -m benchmarks.latency.composed_guidance avatars/teacher
"""

from __future__ import annotations

from typing import Annotated

import torch
import typer

from base.command import run
from base.errors import BadInput
from benchmarks.latency.cases import TIMESTEP
from evaluation.clock import Case, interleaved
from evaluation.result import Result, publish, timing_sheet
from models import noise
from models.pipeline import Pipeline
from training.assemble import opened

COMPOSED, SINGLE, BARE = "one step, composed", "a step each, guided", "a pass each, without the null pass"


def cases(teacher: Pipeline, attributes: int, batch: int) -> list[Case]:
    """All of them draw the same attributes: in one pass with the null condition, or one by one. BadInput: too few slots."""
    names = [names[0] for names in teacher.slots.values()][:attributes]
    if len(names) < attributes:
        raise BadInput(f"the teacher has {len(teacher.slots)} slots of attributes, {attributes} are wanted")
    sample = torch.from_numpy(noise.gaussian(range(batch), 1, teacher.latent_shape)[0]).to(teacher.device)
    composed = teacher.denoise(teacher.condition([names] * batch), 1.0)
    singles = [teacher.condition([[name]] * batch) for name in names]
    guided = [teacher.denoise(single, 1.0) for single in singles]
    bare = [teacher.denoise(single) for single in singles]
    return [
        Case(COMPOSED, "torch", batch, lambda: composed(sample, TIMESTEP)),
        Case(SINGLE, "torch", batch, lambda: [denoise(sample, TIMESTEP) for denoise in guided]),
        Case(BARE, "torch", batch, lambda: [denoise(sample, TIMESTEP) for denoise in bare]),
    ]


@torch.no_grad()
def main(
    teacher: Annotated[str, typer.Argument(help="Run or diffusers folder of a teacher of attributes.")],
    attributes: Annotated[int, typer.Option(help="How many.", min=1)] = 4,
    batches: Annotated[str, typer.Option(help="Batch sizes.")] = "1,8",
    rounds: Annotated[int, typer.Option(help="How often every case has its turn.")] = 7,
    seconds: Annotated[float, typer.Option(help="For a case in a round; three calls at least.")] = 0.3,
) -> None:
    """Time them in turns; the last line of stdout is one JSON document with a ratio for each batch."""
    pipeline = opened(teacher)
    sizes, figures = [int(size) for size in batches.split(",")], dict[str, object](attributes=attributes)
    timings = interleaved([case for size in sizes for case in cases(pipeline, attributes, size)], rounds, seconds)
    for index, size in enumerate(sizes):
        composed, guided, bare = (timing.median for timing in timings[3 * index : 3 * index + 3])
        ratios = {"composed ÷ guided one by one": composed / guided, "composed ÷ bare one by one": composed / bare}
        figures[f"batch {size}"] = {"composed ms": composed, **ratios}
    publish(Result(f"A guided step of {attributes} attributes", [timing_sheet("", timings)], figures), None)


if __name__ == "__main__":
    run(main)
