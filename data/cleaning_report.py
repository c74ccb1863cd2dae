"""The report of a data set that was made, and folders that appear whole or not at all; it knows nothing of images."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from base.errors import BadInput

REPORT = "report.json"
"""The report's file in the set's folder."""


@dataclass(frozen=True)
class Dropped:
    """Something that did not make it into the set, and why."""

    what: str
    """Its name, as a person knows it."""
    why: str
    """The reason, the same text for everything dropped for it."""


@dataclass(frozen=True)
class CleaningReport:
    """A finished data set: rows of each split, what was dropped, the parameters and versions that made it."""

    made_by: str
    """The command that made it."""
    folder: Path
    rows: dict[str, int]
    """Split → number of its rows."""
    dropped: tuple[Dropped, ...]
    parameters: dict[str, Any]
    versions: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """What a person should know: the columns, and what may go wrong with such a set."""

    def save(self, folder: Path) -> None:
        """Write report.json into `folder`, without the folder's own path."""
        content = {name: value for name, value in asdict(self).items() if name != "folder"}
        text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        (folder / REPORT).write_text(text, encoding="utf-8", errors="replace")  # names of files may be no text

    @classmethod
    def load(cls, folder: Path) -> CleaningReport | None:
        """The report in `folder`; None when there is none or it is not one of ours."""
        try:
            content = json.loads((folder / REPORT).read_text(encoding="utf-8"))
            content["dropped"] = tuple(Dropped(**entry) for entry in content["dropped"])
            content["notes"] = tuple(content.get("notes", ()))
            return cls(folder=folder, **content)
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def tables(self) -> Iterator[Table | str]:
        """Yield rich tables for a person: the folder, rows of each split, what was dropped, grouped by reason, the notes."""
        yield escape(str(self.folder))
        rows = Table("split", "rows")
        for split, count in self.rows.items():
            rows.add_row(split, str(count))
        yield rows
        if self.dropped:
            table = Table("dropped because", "how many", "for example")
            for why, count in Counter(entry.why for entry in self.dropped).most_common():
                named = [entry.what for entry in self.dropped if entry.why == why][:3]
                shown = ", ".join(named) + (", …" if count > len(named) else "")
                table.add_row(why, str(count), _printable(shown))
            yield table
        else:
            yield "nothing was dropped"
        yield from map(_printable, self.notes)


def _printable(text: str) -> str:
    """As a table takes it: names of files may be no text."""
    return escape(text.encode("utf-8", "replace").decode())


def finished(plan: CleaningReport) -> CleaningReport | None:
    """The report of a set made before with `plan`'s parameters and versions; None when it must be made.

    BadInput when something that the same command did not make lies in its folder.
    """
    out = plan.folder
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    report = CleaningReport.load(out)
    if report is None or report.made_by != plan.made_by:
        raise BadInput(f"{out} exists and was not made by `{plan.made_by}`: give another folder, or empty it first")
    return report if (report.parameters, report.versions) == (plan.parameters, plan.versions) else None


def write_metadata(folder: Path, rows: list[dict[str, object]]) -> None:
    """Write the imagefolder's metadata.jsonl into `folder`, one row an image."""
    lines = (json.dumps(row, ensure_ascii=False) for row in rows)
    (folder / "metadata.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", errors="replace")
