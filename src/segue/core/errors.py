"""One error tree. A message holds the offending value and the remedy."""

from __future__ import annotations


class SegueError(Exception):
    """Base of every error that segue raises on purpose."""


class BadInput(SegueError):
    """A file, row, field or argument that cannot be used as given."""


class BadSettings(BadInput):
    """A settings file or command-line option that cannot be used as given."""


class NotFound(SegueError):
    """An item, user, model or workspace that is not there."""


class UnreadableMedia(BadInput):
    """A media file that cannot be read, with the reason."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class MissingExtra(SegueError):
    """An optional part whose packages are not installed, with the install command."""


class BadPackage(SegueError):
    """A model package or download whose content does not match its manifest."""
