"""`ippo web`: a bundle as a static folder whose page draws in the browser."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer


def web(
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    out: Annotated[Path, typer.Option(help="Folder of the site.")],
    title: Annotated[str | None, typer.Option(help="What the page is called; by default the model's name.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a site that is there.")] = False,
    packages: Annotated[
        Path | None, typer.Option(help="The node_modules that holds onnxruntime-web; by default the page's own.")
    ] = None,
) -> None:
    """Write a page that draws in the browser: a static folder for any host, which fetches nothing from elsewhere.

    The same seed gives the same picture as `ippo serve`. Once: `npm ci` brings onnxruntime-web, as the message says.
    """
    from export.write_site import PACKAGES, write_site
    from runtime.bundle import open_bundle

    written = write_site(open_bundle(bundle), out, title, overwrite, packages or PACKAGES)
    print(f"{out}: {written.model / 1e6:.1f} MB of model and {written.page / 1e6:.1f} MB of page at a first visit")
    print(f"look at it: python -m http.server 8000 --directory {shlex.quote(str(out))}")
