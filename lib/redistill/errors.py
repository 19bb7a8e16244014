"""Errors that name the thing, the value, what was expected and what to do."""

from collections.abc import Iterable
from difflib import get_close_matches


class RedistillError(Exception):
    """Base of every error this suite raises on bad input.

    The command line prints its message without a traceback, so the message alone must tell:
    the thing and its value, what was expected, and what to do.
    """


class ConfigError(RedistillError):
    """A parameter that is unknown, of the wrong type, or out of range."""


class VideoError(RedistillError):
    """A video file that cannot be used."""


class CatalogError(RedistillError):
    """A data set folder, list or split that cannot be used."""


class RunError(RedistillError):
    """A run that cannot start, be found, or be read."""


def nearest(name: str, options: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the option nearest to ``name``; "" if none is near."""
    found = get_close_matches(name.lower(), list(options), n=1, cutoff=0.4)
    return f" Did you mean {found[0]!r}?" if found else ""
