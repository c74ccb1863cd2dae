"""`ippo train`: one method of `training`, by its name and its YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from base.runs import Take


def train(
    method: Annotated[
        str,
        typer.Argument(
            help="attribute-judge, autoencoder, autoregressive-captioner, clip, context-clip, decoder, judge, student, teacher."
        ),
    ],
    config: Annotated[Path, typer.Argument(help="YAML of the run, e.g. configs/emoji-mini/teacher.yaml.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="Dotted overrides, e.g. loop.steps=2000.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what the run of a teacher or student would need.")
    ] = False,
    take: Annotated[
        Take, typer.Option(help="Of the runs that this one starts from: their best models, or their last ones.")
    ] = "best",
) -> None:
    """Train one network as its configuration says; the same command again resumes."""
    from training.launch import launch, rehearse

    if dry_run:
        from training.run.trouble import LESS

        estimate = rehearse(method, config, overrides or [], take)
        Console().print(estimate.table())
        if estimate.peak > estimate.free:
            Console(stderr=True).print(f"this will not fit: {LESS}", style="yellow")
        return
    figures = launch(method, config, overrides or [], take)
    Console().print("  ".join(f"{name} {value:.4g}" for name, value in figures.items()))
