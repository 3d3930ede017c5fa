"""The mark of the alerts that this app creates on entities, by which one is known that comes back to its SIEM.

Anybody can write these words, also into a command line that an alert quotes. So they count only with the id of an alert
that this app has made.
"""

import re

MARK = "Raised by the Defender alert webhook"
"""Begins the lines that we add to a description."""

_NAMED = re.compile(
    r"Defender.{1,4}alert.{1,4}webhook.{1,20}?(?:(?<![0-9a-f])|(?<=%20))([0-9a-f]{32})(?![0-9a-f])",
    re.IGNORECASE | re.DOTALL,
)


def line(source: str, alert: str) -> str:
    """Return the line that marks the alert of this id, which a source has sent."""
    return f"{MARK} (alert {alert}) from {source}: no event of Defender stands behind it."


def named(text: str) -> tuple[str, ...]:
    """Return the ids of the alerts whose mark a text has, in whatever way it was wrapped or escaped since."""
    return tuple(dict.fromkeys(alert.lower() for alert in _NAMED.findall(text)))
