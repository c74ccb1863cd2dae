"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Decoder = Annotated[str | None, typer.Option(help="Run of a sharpened decoder to put in the autoencoder's place.")]
