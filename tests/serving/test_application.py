"""What the application answers besides its dialects: `/` with a page and without, and what an operator may not do."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from serving.application import application
from serving.serve_config import ServeConfig


def test_the_root_leads_to_the_document_where_there_is_no_page(client: TestClient) -> None:
    root = client.get("/", follow_redirects=False)
    assert root.status_code == 307 and root.headers["location"] == "docs.json"
    assert client.get("/ui").status_code == 404


def test_until_the_page_is_there_it_asks_again(config: ServeConfig) -> None:
    with TestClient(application(config.model_copy(update={"page": True}))) as client:
        for path in ("/", "/ui"):
            answer = client.get(path, follow_redirects=False)
            assert answer.status_code == 307 and answer.headers["location"] == "ui/"
        waiting = client.get("/ui/")
    assert waiting.status_code == 503 and 'http-equiv="refresh"' in waiting.text


def test_a_page_that_cannot_be_made_says_so(
    config: ServeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asked again for ever, and the log said nothing."""
    (tmp_path / "gradio.py").write_text("raise ImportError('a damaged installation')")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name == "serving.page" or name.partition(".")[0] == "gradio"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr("serving.application.PAGE_SECONDS", 0)
    with TestClient(application(config.model_copy(update={"page": True}))) as client:
        while (answer := client.get("/ui/")).status_code == 503:
            pass
        assert client.post("/generate", json={"prompt": "joy"}).status_code == 200
    assert answer.status_code == 500 and "the server's log says why" in answer.text


def test_without_an_admin_key_nothing_is_offered_to_an_operator(client: TestClient) -> None:
    answer = client.post("/admin/model", json={"bundle": "nowhere"}, headers={"authorization": "Bearer any-key"})
    assert answer.status_code == 404
    assert answer.json() == {"error": "POST '/admin/model' is not offered: Not Found"}
