"""The command line: one table, command → function; free of torch until a command needs it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated

import typer
from typer.core import TyperCommand

import base.environment  # noqa: F401
from base.command import HELP
from base.errors import BadInput
from commands import (
    bulk,
    caption,
    convert,
    data,
    evaluate,
    export,
    generate,
    new,
    push,
    sample,
    serve,
    train,
    usage,
    web,
)

app = typer.Typer(
    cls=usage.InOrder,
    help="ippo: a folder of captioned images becomes a model that draws in one step, served over HTTP.\n\n"
    'A model comes with it: `ippo generate "red heart"`, `ippo serve`. What is made lies below IPPO_RUNS, by default runs/.',
    no_args_is_help=True,
    context_settings=HELP,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Say which version this is.", is_eager=True, callback=usage.say_version)
    ] = False,
) -> None:
    """What goes before every command."""


def _add(panel: str, function: Callable[..., None], example: str, cls: type[TyperCommand] | None = None) -> None:
    app.command(rich_help_panel=panel, epilog=f"Example: {example}", cls=cls)(function)


MAKE = "From pictures to a model"
app.add_typer(data.app, name="data", rich_help_panel=MAKE)
_add(MAKE, new.new, "ippo new creatures --like icons")
_add(MAKE, new.line, "ippo line creatures --serve")
_add(MAKE, train.train, "ippo train teacher configs/emoji-mini/teacher.yaml loop.steps=2000")

LOOK = "See how good it is"
_add(LOOK, sample.sample, 'ippo sample emoji-mini/teacher "red heart" --guidance 2 --gif')
_add(
    LOOK,
    evaluate.evaluate,
    "ippo evaluate emoji-mini/student --data emoji-mini --teacher emoji-mini/teacher --judge emoji-mini/judge --out report",
)
_add(LOOK, evaluate.compare, "ippo compare emoji-mini/teacher emoji-mini/student --out report")
_add(LOOK, serve.studio, "ippo studio --port 7860")

TAKE = "Take it elsewhere"
_add(TAKE, export.export, "ippo export emoji-mini/student --out bundle")
_add(TAKE, export.engines, "ippo engines bundle --for sm86,sm89")
_add(TAKE, web.web, "ippo web bundle --out site")
_add(TAKE, export.save, "ippo save emoji-mini/student --out emoji.safetensors --single-file")
_add(TAKE, push.push, "ippo push bundle me/emoji --license apache-2.0")
_add(TAKE, export.adopt, "ippo adopt optimum-folder --out bundle")
_add(TAKE, convert.convert, "ippo convert inception pt_inception-2015-12-05-6726825d.pth inception")

DRAW = "Draw with a bundle"
_add(DRAW, generate.generate, 'ippo generate "red heart" "blue heart" --count 4 --grid --out hearts.png')
_add(DRAW, bulk.bulk, "ippo bulk prompts.csv --out pictures --count 10")
_add(DRAW, caption.caption, "ippo caption photos --bundle bundle --out photos/captions.csv")
_add(DRAW, serve.serve, "ippo serve --bundle bundle --port 8080 max_queue=16", serve.WithSettings)


def main() -> None:
    """Run the command line; bad input is one line on stderr and exit code 2."""
    try:
        sys.exit(app(usage.arguments(sys.argv[1:]), prog_name="ippo", standalone_mode=False))
    except BadInput as error:
        line = str(error)
    except typer.TyperException as error:
        line = usage.in_one_line(error)
    except OSError as error:
        if not (line := usage.of_the_system(error)):
            raise
    if line:
        print(f"ippo: {line}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
