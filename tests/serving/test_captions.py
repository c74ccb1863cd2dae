"""Captions over HTTP by a bundle that does not write: which paths there are, and what is refused."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

PICTURE = "data:image/png;base64,AAAA"
CHAT = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": PICTURE}}]}


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("/caption", {"image": "AAAA"}, 404, "no served model describes pictures: "),
        ("/caption", {}, 400, "image is missing"),
        ("/caption", {"image": "AAAA", "like": "x"}, 400, "unknown key 'like'"),
        ("/sdapi/v1/interrogate", {"image": "AAAA"}, 404, "no served model describes pictures"),
        ("/v1/chat/completions", {"messages": [CHAT]}, 404, "no served model describes pictures"),
        ("/v1/chat/completions", {"messages": [CHAT, CHAT]}, 400, "messages hold 2 pictures; accepted: one"),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}]}, 400, "messages hold 0 pictures"),
        ("/v1/chat/completions", {"messages": [CHAT], "stream": True}, 400, "stream: a caption is answered whole"),
        (
            "/v1/chat/completions",
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "https://a.b/c.png"}]}]},
            400,
            "addresses are not fetched; accepted: a data URL",
        ),
        ("/generate", {"prompt": "a cat", "content": "AAAA"}, 400, "unknown key 'content'"),
    ],
)
def test_what_cannot_be_captioned_is_one_line(
    client: TestClient, path: str, body: dict[str, object], status: int, says: str
) -> None:
    answer = client.post(path, json=body)
    assert answer.status_code == status and says in answer.text
