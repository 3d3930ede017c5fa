"""Wazuh: the text that a custom integration makes of an alert, in lines of a name and a value with no sign between."""

import re
from collections.abc import Mapping

from shared.payload.paths import Node

_AGENT = re.compile(r"^Agent Name[ \t]+(\S{1,253})[ \t]*$", re.MULTILINE)
_MANAGER = re.compile(r"^Agent ID[ \t]+000[ \t]*$", re.MULTILINE)  # it reports, and is not what happened
_LONGEST = 32_768


def clues(alert: Node) -> Mapping[str, Node]:
    """Return the device of an alert's text: the agent, unless that is the manager."""
    text = alert.first("description")
    if text is None or not isinstance(text.value, str) or len(text.value) > _LONGEST:
        return {}
    agent = _AGENT.search(text.value)
    return (
        {"device": Node(agent[1], text.place, text.reader)}
        if agent and not _MANAGER.search(text.value)
        else {}
    )
