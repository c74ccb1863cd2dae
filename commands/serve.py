"""`ippo serve`, `ippo studio`: the HTTP service, and the local page over everything."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from base import listening
from runtime import available


class WithSettings(TyperCommand):
    """A command whose help ends in all settings of the service."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        from serving.serve_config import ServeConfig

        super().format_help(ctx, formatter)
        typer.echo(f"Settings, their defaults and variables:\n\n{ServeConfig.settings()}")


def serve(
    settings: Annotated[
        list[str] | None, typer.Argument(help="Further settings, e.g. max_queue=16; all are listed below.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file of settings.")] = None,
    bundle: Annotated[
        Path | None, typer.Option(help="Bundle, or hub:user/name; by default the one that ships.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port; by default 3000.")] = None,
    host: Annotated[
        str | None, typer.Option(help="Address, or a name such as localhost; by default 127.0.0.1.")
    ] = None,
    backend: Annotated[str | None, typer.Option(help=f"Who runs the graphs: {available.described()}.")] = None,
) -> None:
    """Serve a bundle over HTTP: ippo's own interface, OpenAI's, Automatic1111's, and a page.

    Every setting is an environment variable as well; the command line comes before it, and the file after it.
    """
    from serving.serve_config import ServeConfig
    from serving.supervisor import serve as launch

    options = {"bundle": bundle, "port": port, "host": host, "backend": backend}
    given = [f"{name}={value}" for name, value in options.items() if value is not None]
    launch(ServeConfig.resolve(config, os.environ, [*(settings or ()), *given]))


def studio(
    port: Annotated[int, typer.Option(help="Port.")] = 7860,
    host: Annotated[
        str, typer.Option(help="Address; others than this machine's own reach a page without keys.")
    ] = "127.0.0.1",
) -> None:
    """Open a local page over data, training and drawing; trainings that it starts outlive it."""
    listening.check_free(host, port, "with --host and --port")
    from studio.app import serve as listen

    print(listening.url(host, port))
    listen(host, port)
