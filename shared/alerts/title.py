"""An alert's title: the rule's name, without times, ids and numbers that change from alert to alert.

Defender merges alerts of the same device and title, and our check for duplicates compares titles: a time or a number in
them would prevent both. Only what stands at an end is removed, and never the whole title.
"""

import re

_DATE = r"(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4})"
_MONTH = r"(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}\.?"
_DAY = rf"(?:(?:(?i:mon|tue|wed|thu|fri|sat|sun)[a-z]{{0,6}},? )?(?:\d{{1,2}} {_MONTH}|{_MONTH} {{1,2}}\d{{1,2}}))"
_CLOCK = r"\d{1,2}:\d{2}(?::\d{2})?(?:[.,]\d{1,9})?(?: ?[AaPp][Mm])?(?: ?(?:Z|UTC|GMT|[+-]\d{2}:?\d{2}))?"
_GUID = r"\{?[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\}?"
_TICKET = r"(?:INC|SIR|CASE|TASK|SEC|CHG|REQ)\d{5,12}"
_WORD = r"(?i:incident|alert|case|ticket|offense|notable)"
_CHANGING = "|".join(
    (
        rf"(?:{_DATE}|{_DAY},? \d{{4}})(?:[T ,]{{1,2}}{_CLOCK})?",
        rf"{_DAY} {_CLOCK} \d{{4}}",
        _CLOCK,
        _GUID,
        r"[0-9a-f]{32,64}",
        r"\d{9,20}",
        r"#\d{1,20}",
        _TICKET,
        r"(?i:firing):\d{1,6}",
        rf"{_WORD}(?: ?(?i:id|number))?[ :#-]{{1,2}}\d{{1,20}}",
        r"(?i:id)[ :#=-]{1,2}[\w-]{4,64}",
    )
)
_END = re.compile(rf"(?:^|[\s(\[|:,;-])(?:{_CHANGING})[)\]]?$", re.ASCII)
_START = re.compile(
    rf"^(?:\[(?:{_CHANGING}|\d{{1,20}})\]|{_WORD}(?: ?(?i:id|number))?[ :]{{0,2}}#?\d{{1,20}} ?[:|-](?!\d)"
    rf"|#\d{{1,20}}[ :-]|(?:{_WORD} )?{_DATE}(?:[T ,]{{1,2}}{_CLOCK})?[ :|-]|{_CLOCK}[ :|-]|{_TICKET}[ ]?[:|-]"
    r"|\d{9,20}[ :|-])"
    r"[ :|-]*",
    re.ASCII,
)
_LOOSE = re.compile(r"(?:^|\s)(?:at|on|from|of|since)$", re.IGNORECASE)
_SEPARATORS = " \t\n,;:|@([-\u2013\u2014"
_NAME = re.compile(r"[^\W\d_]{3}")
_TAIL = 120
_MOST = 4
_LONGEST = 1_000  # characters; what is longer is no rule's name


def tidy(text: str) -> str:
    """Return a title without times, ids and numbers at its ends; unchanged where nothing else would remain."""
    if len(text) > _LONGEST:
        return text
    tidied = text.strip()
    for _ in range(_MOST):
        match = _END.search(tidied, max(0, len(tidied) - _TAIL))
        if not match:
            break
        shorter = tidied[: match.start()].rstrip(_SEPARATORS)
        shorter = _LOOSE.sub("", shorter).rstrip(_SEPARATORS)
        if not _NAME.search(shorter):
            return tidied
        tidied = shorter
    for _ in range(_MOST):
        shorter = _START.sub("", tidied)
        if not _NAME.search(shorter):
            break
        tidied = shorter
    return tidied
