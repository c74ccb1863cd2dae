"""`ippo push`: a bundle, a run or a diffusers folder onto the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def push(
    folder: Annotated[str, typer.Argument(help="Bundle, run or diffusers folder.")],
    repo: Annotated[str, typer.Argument(help="Its name on the Hub, user/name; made if it is not there.")],
    private: Annotated[bool, typer.Option("--private", help="Make it visible to you alone.")] = False,
    license: Annotated[str | None, typer.Option(help="As the Hub writes it, e.g. apache-2.0.")] = None,
    evaluation: Annotated[
        Path | None, typer.Option(help="What ippo evaluate wrote, for the page's figures and grids.")
    ] = None,
    message: Annotated[str, typer.Option(help="Message of the commit.")] = "ippo push",
) -> None:
    """Put a model on the Hugging Face Hub, with a page of figures and pictures; --bundle hub:user/name takes it from there.

    The Hub wants a token that may write: hf auth login, or HF_TOKEN. A README.md in the folder is the page.
    """
    from base.runs import trained
    from export.publish import PushOptions
    from export.publish import push as published
    from runtime.manifest import MANIFEST

    source = Path(folder) if (Path(folder) / MANIFEST).is_file() else trained(folder)
    print(published(source, repo, PushOptions(private, license, evaluation, message)))
