"""The mark of the alerts that this app creates on entities, by which one is known that comes back to its SIEM."""

import re

MARK = "Raised by the Defender alert webhook"
"""Begins the lines that we add to a description."""

_MARKED = re.compile(rf"(?:^|>)\s*{re.escape(MARK)} from \S", re.MULTILINE)
_READ = 16_384  # characters of a description


def is_marked(text: str) -> bool:
    """Tell whether a description is of an alert that this app created: a line of it begins with the mark.

    Within a line it does not count: a command line that somebody quotes could hide an alert with it.
    """
    return bool(_MARKED.search(text[:_READ]))
