"""What a page would fetch from elsewhere."""

from html.parser import HTMLParser

EMPTY = {"meta", "img"}
SOURCES = {"src", "href", "srcset", "data"}


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.opened: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "link", "iframe"):
            self.found.append(tag)
        self.found += [value for name, value in attrs if name in SOURCES and value and not value.startswith("data:")]
        if tag not in EMPTY:
            self.opened.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.opened.pop() == tag, f"{tag} closes nothing"


def fetched(page: str) -> list[str]:
    """Addresses and elements that need more than the page itself; asserts that its tags are closed in order."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert not reader.opened, f"never closed: {reader.opened}"
    return reader.found + (["url("] if "url(" in page else [])
