"""Bad input becomes one clear line on the page; it knows nothing of what was wrong."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from html import escape
from typing import ParamSpec, TypeVar

import gradio as gr

from base.errors import BadInput
from studio import pieces

P = ParamSpec("P")
T = TypeVar("T")


def one_line(error: Exception) -> str:
    """The one line on the page for an error."""
    if isinstance(error, FileNotFoundError):
        return f"{error.filename} is gone: it was deleted meanwhile"
    return str(error)


def tells(function: Callable[P, T]) -> Callable[P, T]:
    """Decorate the handler of a button: bad input is shown as a note in the corner of the page."""

    @wraps(function)
    def handler(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except (BadInput, FileNotFoundError) as error:
            raise gr.Error(escape(one_line(error)), title="", duration=12, print_exception=False) from error

    return handler


def shows(function: Callable[P, str]) -> Callable[P, str]:
    """Decorate a function that makes a piece of the page: bad input is shown instead of the piece."""

    @wraps(function)
    def shown(*args: P.args, **kwargs: P.kwargs) -> str:
        try:
            return function(*args, **kwargs)
        except (BadInput, FileNotFoundError) as error:
            return pieces.trouble(one_line(error))

    return shown
