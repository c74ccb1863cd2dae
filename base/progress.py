"""The bar of long work: how much is done, how fast, how long it still takes; it knows nothing of what is done.

Where nobody looks (a log, a pipe) it is a line now and then in place of a bar.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

EVERY = 30.0
"""Seconds between two lines of a log."""

T = TypeVar("T")


class Lines(Progress):
    """A progress that prints a line when one is due, and its bars once, at the end."""

    def __init__(
        self, *columns: Any, every: float = EVERY, get_time: Callable[[], float] | None = None, **options: Any
    ) -> None:
        """`every`: seconds between two lines; the rest is rich's."""
        super().__init__(*columns, auto_refresh=False, get_time=get_time, **options)
        self.every, self._printed = every, self.get_time()

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        """As rich's."""
        super().advance(task_id, advance)
        self._line(task_id)

    def update(self, task_id: TaskID, **changes: Any) -> None:
        """As rich's."""
        super().update(task_id, **changes)
        self._line(task_id)

    def _line(self, task_id: TaskID) -> None:
        task, now = self._tasks[task_id], self.get_time()
        if self.disable or task.finished or now - self._printed < self.every:
            return
        self._printed = now
        parts = [f"{task.completed:g}" if task.total is None else f"{task.completed:g} of {task.total:g}"]
        if task.speed:
            parts.append(f"{task.speed:.3g} a second")
        if task.time_remaining is not None:
            parts.append(f"{timedelta(seconds=task.time_remaining)} left")
        said = f"{task.description}: {', '.join(parts)}"
        self.console.print(said, markup=False, highlight=False, soft_wrap=True)


def progress(console: Console | None = None, shown: bool = True, **options: Any) -> Progress:
    """A bar with rate and time left, on stdout unless a console is given; a hidden one takes the same calls.

    Lines where the console is no terminal; further options are those of `Lines`.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TaskProgressColumn(show_speed=True))
    console = console or Console()
    kind: type[Progress] = Progress if console.is_terminal else Lines
    times = (TimeElapsedColumn(), TimeRemainingColumn())
    return kind(*columns, *times, console=console, disable=not shown, **options)


def track(
    sequence: Sequence[T] | Iterable[T], description: str, total: int | None = None, console: Console | None = None
) -> Iterable[T]:
    """The items of a sequence, with a progress beside them while they are used; on stdout unless a console is given."""
    with progress(console) as bar:
        yield from bar.track(sequence, total, description=description)
