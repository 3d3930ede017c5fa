"""What a search found, in words and as JSON: the match, the candidates, and what was looked for."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from shared.alerts.text import cut
from shared.payload.clues import FACTS, SECOND, Clues
from shared.search import query
from shared.search.verdict import Candidate, Verdict

_WORDS = {
    "sha1": "SHA-1",
    "sha256": "SHA-256",
    "md5": "MD5",
    "remote_ip": "remote IP",
    "remote_url": "remote URL",
}
_SHOWN = 60  # characters of a device's or a file's name in a sentence
_LONGEST = 200  # and anywhere else


def match(verdict: Verdict) -> dict[str, Any] | None:
    """Return the match of a verdict: what its sender may see, and `event`, which only the operator may."""
    chosen = verdict.match
    if chosen is None:
        return None
    row = chosen.row
    return {
        "grade": verdict.grade,
        "agree": names(chosen.agree),
        "differ": names(chosen.differ),
        "secondsApart": chosen.apart / SECOND,
        "candidates": len(verdict.candidates),
        "event": {
            "table": row.get("Table") or "",
            "action": _plain(row.get("ActionType")),
            "device": _plain(row.get("DeviceName") or row.get("DeviceId")),
            "time": row.get("Timestamp") or "",
            "twins": chosen.twins,
        },
    }


def candidate(compared: Candidate) -> dict[str, Any]:
    """Return a candidate for the operator."""
    row = compared.row
    return {
        "table": row.get("Table") or "",
        "action": _plain(row.get("ActionType")),
        "device": _plain(row.get("DeviceName") or row.get("DeviceId")),
        "file": _plain(row.get("FileName")) or None,
        "time": row.get("Timestamp") or "",
        "secondsApart": compared.apart / SECOND,
        "agree": names(compared.agree),
        "differ": names(compared.differ),
        "only": names(compared.only),
        "twins": compared.twins,
    }


def names(facts: Iterable[str]) -> list[str]:
    """Return the names of facts as they are shown, sorted."""
    return sorted(map(name, facts))


def name(fact: str) -> str:
    """Return the name of a fact as it is shown: `commandLine`."""
    return re.sub("_(.)", lambda letter: letter[1].upper(), fact)


def sentence(verdict: Verdict, source: str) -> str:
    """Return the line of an alert's description that says how its event was found."""
    chosen = verdict.match
    if chosen is None:
        return ""
    row = chosen.row
    seconds = chosen.apart / SECOND
    side = "after" if seconds > 0 else "before"
    at = f"{abs(seconds):.1f} s {side} the time" if abs(seconds) >= 0.05 else "at the time"  # noqa: PLR2004 - rounds to 0
    what = " ".join(filter(None, (_plain(row.get(name), _SHOWN) for name in ("ActionType", "FileName"))))
    agree = ", ".join(_words(fact) for fact in FACTS if fact in chosen.agree) or "the name and the time"
    twins = (
        f" {chosen.twins} events are equal; this is the one nearest to that time." if chosen.twins > 1 else ""
    )
    return (
        f"Event found by advanced hunting ({verdict.grade}): {what or row.get('Table')}, {at} that"
        f" {source or 'the payload'} gave; agrees: {agree}; 1 of {len(verdict.candidates)} candidates.{twins}"
    )


def several(devices: Iterable[str]) -> str:
    """Return the devices between which nothing decides, in words for the operator; empty if there are none."""
    named = ", ".join(_plain(device, _SHOWN) for device in devices)
    return f"They are {named}." if named else ""


def looked_for(clues: Clues) -> str:
    """Return what a search looks for: the device, the time and the names of the facts."""
    devices = ", ".join(_plain(host.value, _SHOWN) for host in clues.hosts)
    at = f" at {query.iso(clues.when.start)}" if clues.when else ""
    facts = ", ".join(_words(fact) for fact in FACTS if getattr(clues, fact)) or "no fact"
    return f"Looked for an event of device {devices}{at} by {facts}."


def shown(match_: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored match without what only the operator may see."""
    return {key: value for key, value in match_.items() if key != "event"}


def _plain(value: str | None, most: int = _LONGEST) -> str:
    """Return a text of an event in one line: whoever names a file can write what shows as something else."""
    text = "".join(sign if sign.isprintable() else " " for sign in (value or "")[:_LONGEST])
    return cut(" ".join(text.split()), most)


def _words(fact: str) -> str:
    return _WORDS.get(fact, fact.replace("_", " "))
