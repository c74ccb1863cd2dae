"""The one exception a user may see: its text is a single line; it knows nothing about where it is shown."""


class BadInput(ValueError):
    """What was wrong and what is accepted, in one line. The command line prints it and exits 2, HTTP answers 400."""
