"""Requests made from the running server's own OpenAPI, a few here and ten thousand by `make fuzz`."""

from __future__ import annotations

import httpx
import pytest

from benchmarks.load.fuzz import fuzz


@pytest.mark.slow
def test_no_request_breaks_what_the_document_says(server: str) -> None:
    result = fuzz(server, requests=10)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-1000:]
    assert httpx.get(f"{server}/livez").status_code == 200
