"""Progress where nobody looks: a line now and then, in full, and the bar once at the end."""

from __future__ import annotations

import io

from rich.console import Console

from base.progress import Lines, progress, track


def console(terminal: bool = False) -> tuple[Console, io.StringIO]:
    file = io.StringIO()
    return Console(file=file, force_terminal=terminal, width=60), file


def clock(seconds: list[float]) -> float:
    """A second later every time it is asked."""
    seconds[0] += 1
    return seconds[0]


def test_a_log_gets_a_line_now_and_then() -> None:
    where, file = console()
    seconds = [0.0]
    with progress(where, every=20.0, get_time=lambda: clock(seconds)) as bar:
        task = bar.add_task("a/run", total=100, completed=10)
        for _ in range(90):
            bar.advance(task)
    lines = [line for line in file.getvalue().splitlines() if line.startswith("a/run: ")]
    assert 3 < len(lines) < 40
    assert lines[0].split(", ")[0].endswith(" of 100") and "a second" in lines[-1] and lines[-1].endswith("left")
    assert "100/100" in file.getvalue().splitlines()[-1]


def test_a_terminal_gets_a_bar_and_a_hidden_one_nothing() -> None:
    where, file = console(terminal=True)
    assert not isinstance(progress(where), Lines)
    where, file = console()
    with progress(where, shown=False, every=0.0) as bar:
        task = bar.add_task("run", total=2)
        bar.advance(task)
    assert file.getvalue() == ""


def test_what_is_tracked_comes_through() -> None:
    where, file = console()
    assert list(track(range(5), "drawing [1]", console=where)) == [0, 1, 2, 3, 4]
    assert list(track(iter("ab"), "letters", 2, console=where)) == ["a", "b"]
    assert "5/5" in file.getvalue() and "2/2" in file.getvalue()
