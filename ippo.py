"""The command line: one table, command → function; thin, and free of torch until a command needs it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from models.errors import BadInput

app = typer.Typer(
    help="ippo: a folder of captioned images becomes a model that draws in one step, served over HTTP.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="Make data sets: render the emoji, or clean a folder of one's own.", no_args_is_help=True)
app.add_typer(data_app, name="data")
Overrides = Annotated[list[str] | None, typer.Argument(help="Dotted overrides, e.g. loop.steps=2000.")]


@app.command()
def train(method: str, config: Path, overrides: Overrides = None) -> None:
    """Train one METHOD (autoencoder, clip, teacher, student, decoder, judge) from a YAML; run it again to resume."""
    from training.launch import launch

    launch(method, config, overrides or [])


@data_app.command("emoji")
def data_emoji(
    subset: Annotated[str, typer.Argument(help="emoji (all) or emoji-mini (200).")] = "emoji-mini",
    out: Annotated[Path | None, typer.Option(help="Folder; by default data/SUBSET below IPPO_RUNS.")] = None,
    font: Annotated[Path | None, typer.Option(help="Noto Color Emoji; by default Debian's.")] = None,
) -> None:
    """Render Noto Color Emoji as captioned 64x64 images in English and French."""
    from training.data import emoji
    from training.runs import runs_root

    emoji.render(out or runs_root() / "data" / subset, subset, font)


def main() -> None:
    """Run the command line; bad input is one line on stderr and exit code 2."""
    try:
        app()
    except BadInput as error:
        print(f"ippo: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
