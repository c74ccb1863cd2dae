"""The BentoML service: checks the configuration, then hands the application to a worker; it knows nothing about how it draws.

The supervisor process imports this module as well, so whatever draws is imported by the worker's startup.
"""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import bentoml
from starlette.types import ASGIApp

from base import listening
from base.errors import BadInput
from serving import worker_start
from serving.application import SERVICE, application
from serving.direct import Direct
from serving.error_answers import OneLinePath
from serving.preflight import check
from serving.serve_config import ServeConfig

SLACK_SECONDS = 5.0
"""Between our own deadlines and BentoML's, which answers a 504 that says nothing."""


def _give_up(error: BadInput) -> NoReturn:
    print(f"ippo: {error}", file=sys.stderr)
    raise SystemExit(2)


def _configuration() -> tuple[ServeConfig, str]:
    """What the environment says, and the address to listen on."""
    try:
        config = ServeConfig.from_environment()
        return config, listening.address_of(config.host)
    except BadInput as error:
        _give_up(error)


CONFIG, ADDRESS = _configuration()
APP = application(CONFIG)


class OwnService(bentoml.Service[Any]):  # type: ignore[misc]
    """A BentoML service whose requests go straight to `APP`, unless BentoML is to trace them."""

    def to_asgi(self, is_main: bool = True) -> ASGIApp:
        """What the worker runs."""
        whole = super().to_asgi(is_main)
        return OneLinePath(whole if CONFIG.tracing else Direct(whole, APP))


@bentoml.service(
    name=SERVICE,
    service_class=OwnService,
    workers=1,
    http={"host": ADDRESS, "port": CONFIG.port},
    logging={"access": {"enabled": False}},  # ours knows more
    metrics={"enabled": False},  # likewise
    traffic={"timeout": CONFIG.deadline + CONFIG.slowest_body + SLACK_SECONDS},  # ours come first
    tracing={"excluded_urls": [] if CONFIG.tracing else ["."]},
)
@bentoml.asgi_app(APP, path="/")
class Ippo:
    """Draws in one step: POST /generate, OpenAI's Images API below /v1, a page at /ui."""

    @bentoml.on_deployment  # type: ignore[untyped-decorator]
    @staticmethod
    def before_workers() -> None:
        """Run by the supervisor: what is wrong ends it with one line."""
        try:
            check(CONFIG)
        except BadInput as error:
            _give_up(error)
        print(f"ippo {CONFIG.describe()}", flush=True)
        worker_start.watch()

    async def __is_alive__(self) -> bool:
        """The answer of `/livez`: not where the backend failed several times in a row."""
        return bool(APP.state.artist.alive)
