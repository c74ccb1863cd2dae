"""What the application answers besides its dialects: `/` with a page and without, and what an operator may not do."""

from __future__ import annotations

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


def test_without_an_admin_key_nothing_is_offered_to_an_operator(client: TestClient) -> None:
    answer = client.post("/admin/model", json={"bundle": "nowhere"}, headers={"authorization": "Bearer any-key"})
    assert answer.status_code == 404
    assert answer.json() == {"error": "POST '/admin/model' is not offered: Not Found"}
