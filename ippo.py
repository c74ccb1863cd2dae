"""The command line: one table, command → function; free of torch until a command needs it."""

from __future__ import annotations

import sys

import typer

import base.environment  # noqa: F401
from base.errors import BadInput
from commands import bulk, caption, convert, data, evaluate, export, generate, new, push, sample, serve, train, web

app = typer.Typer(
    help="ippo: a folder of captioned images becomes a model that draws in one step, served over HTTP.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(data.app, name="data")
app.command()(new.new)
app.command()(train.train)
app.command()(new.line)
app.command()(export.save)
app.command()(export.export)
app.command()(export.adopt)
app.command()(push.push)
app.command()(web.web)
app.command()(export.engines)
app.command()(evaluate.evaluate)
app.command()(evaluate.compare)
app.command()(convert.convert)
app.command()(generate.generate)
app.command()(caption.caption)
app.command()(sample.sample)
app.command()(bulk.bulk)
app.command(cls=serve.WithSettings)(serve.serve)
app.command()(serve.studio)


def main() -> None:
    """Run the command line; bad input is one line on stderr and exit code 2."""
    try:
        app()
    except BadInput as error:
        print(f"ippo: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
