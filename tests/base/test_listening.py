"""Where a server listens: names beside addresses, and one line for those that are none."""

from __future__ import annotations

import json
import socket

import pytest

from base import listening
from base.errors import BadInput
from serving.application import address
from serving.serve_config import ServeConfig


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1", "::"])
def test_an_address_stays(host: str) -> None:
    assert listening.address_of(host) == host


def test_a_name_is_its_address() -> None:
    assert listening.address_of("localhost") == "127.0.0.1"


@pytest.mark.parametrize("host", ["", "a..b", "a\0b", "x" * 70, "é" * 70])
def test_what_is_no_name_is_one_line(host: str) -> None:
    with pytest.raises(BadInput, match="is unknown; accepted: localhost") as refused:
        listening.address_of(host)
    assert "\n" not in str(refused.value)


def test_a_port_in_use_names_the_host_as_it_was_typed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            BadInput, match=f"cannot listen on localhost:{port}: Address already in use; choose another port"
        ):
            listening.check_free("localhost", port, "port")


@pytest.mark.parametrize(
    ("host", "listens", "told"),
    [
        ("localhost", "http://127.0.0.1:3000", "http://localhost:3000"),
        ("::1", "http://::1:3000", "http://[::1]:3000"),
        ("0.0.0.0", "http://localhost:3000", "http://localhost:3000"),
        ("127.0.0.1", "http://127.0.0.1:4000", "http://127.0.0.1:4000"),
        ("localhost", None, "http://localhost:3000"),
    ],
)
def test_the_address_that_is_told_opens(
    host: str, listens: str | None, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENTOML_RUNNER_MAP", json.dumps({"ippo": listens} if listens else {}))
    assert address(ServeConfig(host=host)) == told
