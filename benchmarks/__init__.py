"""Measures; nothing here is deployed."""

import models.quiet  # noqa: F401
