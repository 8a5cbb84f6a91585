"""Reads the events of hookline over NATS or HTTP, each once, in order."""

from . import events
from .http import Cursor, FileCursor, Gap, follow_http
from .kinds import KINDS
from .over_nats import follow
from .reader import Handlers, Meta, Stopped, Unknown
from .store import Store, Window
from .subjects import account_filter, token

__all__ = [
    "KINDS",
    "Cursor",
    "FileCursor",
    "Gap",
    "Handlers",
    "Meta",
    "Stopped",
    "Store",
    "Unknown",
    "Window",
    "account_filter",
    "events",
    "follow",
    "follow_http",
    "token",
]
