"""Subjects of events."""

import hashlib
import re

LONGEST = 128


def token(text: str) -> str:
    """One token of a subject: all but `[A-Za-z0-9_-]` percent-encoded, hashed where it is longer than 128 bytes, `_` where it is empty."""
    if not text:
        return "_"
    encoded = re.sub(rb"[^A-Za-z0-9_-]", lambda byte: b"%%%02X" % byte[0][0], text.encode()).decode()
    return f"sha256-{hashlib.sha256(text.encode()).hexdigest()}" if len(encoded) > LONGEST else encoded


def account_filter(channel: str, account: str) -> str:
    """The events of one account."""
    return f"inbox.v1.event.*.{token(channel)}.{token(account)}.>"
