"""The eight fields of a `CreateAlertByReference` call: what they may be, and every problem at once.

Source of the rules: Microsoft's "Create alert from event" page of the Defender for Endpoint API, and what its
users ran into. Lengths of texts are not documented there; ours are `MAX_LENGTHS`.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType

from shared.alerts import event_time, vocabulary
from shared.payload import shapes
from shared.problems import Problem

SEVERITIES = vocabulary.SEVERITIES
CATEGORIES = vocabulary.CATEGORIES
FIELDS = (
    "machineId",
    "eventTime",
    "reportId",
    "severity",
    "category",
    "title",
    "description",
    "recommendedAction",
)
"""The API's names, in the order we document, check and send them."""
MAX_LENGTHS: Mapping[str, int] = MappingProxyType(
    {"title": 256, "description": 4096, "recommendedAction": 4096}
)
"""The longest texts we send, in UTF-16 units. Longer ones are cut and end in an ellipsis."""

_MAX_INT64 = 2**63 - 1
_MAX_EXACT_DOUBLE = 2**53
_MACHINE_ID = re.compile(r"[0-9a-f]{40}", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,40}(?:\.[0-9]{0,40})?(?:[eE][+-]?[0-9]{1,2})?")
_PLACEHOLDER = re.compile(
    r"\{\{.{0,200}\}\}|[@$%#]\{.{0,200}\}|@.{0,200}\)|[$%].{1,200}[$%]|<.{1,200}>", re.DOTALL
)
_UNSENDABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufeff\ufffe\uffff]")
_JOINER = "\u200d"  # makes one emoji of several
_MAX_JOINED = 32
_HALF_PAIR = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Alert:
    """One `CreateAlertByReference` body. Made by `check`, or read back by `from_body`."""

    machine_id: str
    event_time: str
    report_id: str
    severity: str
    category: str
    title: str
    description: str
    recommended_action: str

    def body(self) -> dict[str, str]:
        """Return the eight fields by the API's names, in the documented order."""
        return {
            "machineId": self.machine_id,
            "eventTime": self.event_time,
            "reportId": self.report_id,
            "severity": self.severity,
            "category": self.category,
            "title": self.title,
            "description": self.description,
            "recommendedAction": self.recommended_action,
        }

    @classmethod
    def from_body(cls, body: Mapping[str, str]) -> "Alert":
        """Return the alert of a stored body. Raises `KeyError` if a field is missing; checks nothing."""
        return cls(*(body[field] for field in FIELDS))

    @property
    def id(self) -> str:
        """The first 32 hex digits of SHA-256 over what names an alert: equal event and title, equal id."""
        # As a JSON array, so that no title can imitate the border between two fields.
        named = json.dumps([self.machine_id, self.event_time, self.report_id, self.title])
        return hashlib.sha256(named.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Checked:
    """An alert, or every problem that keeps the values from being one. `notes` say what was changed.

    `time_truncated`: the event's time certainly lost digits on its way, so a 404 will stay one.
    """

    alert: Alert | None
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    time_truncated: bool = False


@dataclass(frozen=True, slots=True)
class _Value:
    text: str
    notes: tuple[str, ...] = ()
    truncated: bool = False


def check(values: Mapping[str, object]) -> Checked:
    """Turn values by the API's names into an alert, or say everything that is wrong with them.

    A value is text. Numbers come as text too (`payload.Number`), exactly as they were written.
    """
    found: dict[str, _Value] = {}
    wrong: list[Problem] = []
    for field in FIELDS:
        value = values.get(field)
        try:
            found[field] = _read(field, value)
        except ValueError as reason:
            wrong.append(Problem(field, f"{reason}. Accepted: {_ACCEPTED[field]}."))
    notes = tuple(f"{field}: {note}" for field, value in found.items() for note in value.notes)
    if wrong:
        return Checked(None, tuple(wrong), notes)
    alert = Alert(*(found[field].text for field in FIELDS))
    return Checked(alert, (), notes, found["eventTime"].truncated)


def canonical(field: str, value: str) -> str | None:
    """Return a value of a field as it would be sent, or None if it cannot be one."""
    try:
        return _READERS[field](value).text
    except ValueError:
        return None


def shown(value: object) -> str:
    """Return a value as it may stand in an answer or a log: short, one line, printable."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "an array"
    if not isinstance(value, str):
        return json.dumps(value)
    short = value if len(value) <= 60 else value[:60] + "…"  # noqa: PLR2004  # enough to recognise it
    return json.dumps(short, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()


def units(text: str) -> int:
    """Return a text's length in UTF-16 units, in which Defender and Table Storage count."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def cut(text: str, limit: int) -> str:
    """Return a text of at most `limit` UTF-16 units; what was cut ends in an ellipsis."""
    if units(text) <= limit:
        return text
    kept = text.encode("utf-16-le", "surrogatepass")[: (limit - 1) * 2].decode("utf-16-le", "ignore")
    end = len(kept)
    # Not between a letter and its accents, or inside a joined emoji; but never much further back.
    while len(kept) - end < _MAX_JOINED and end > 1 and (_joins(text[end]) or text[end - 1] == _JOINER):
        end -= 1
    return text[:end].rstrip() + "…"


def _read(field: str, value: object) -> _Value:
    if shapes.empty(value):
        raise ValueError("is missing" if value is None else f"{shown(value)} is empty")
    if not isinstance(value, str):
        raise ValueError(f"{shown(value)} is not text")  # noqa: TRY004  # every problem is a ValueError here
    try:
        return _READERS[field](str(value))
    except ValueError as reason:
        told = "is a placeholder that nobody filled" if _PLACEHOLDER.fullmatch(value.strip()) else reason
        raise ValueError(f"{shown(value)} {told}") from None


def _machine_id(value: str) -> _Value:
    text = value.strip().removeprefix("DeviceId:")  # as Google's UDM writes it
    if _MACHINE_ID.fullmatch(text):
        return _Value(text)
    if _MACHINE_ID.fullmatch(text.lower()):
        return _Value(text.lower(), ("was written in capitals; Defender's are lower-case",))
    if shapes.GUID.fullmatch(text):
        raise ValueError(
            "is a GUID: an Entra (Azure AD) device id or another product's id, not the device id of Defender"
        )
    if re.fullmatch("[0-9a-fA-F]{32}", text):
        raise ValueError("has 32 hex digits: another product's agent id, for instance CrowdStrike's")
    if re.fullmatch("[0-9a-fA-F]+", text):
        raise ValueError(f"has {len(text)} hex digits")
    raise ValueError("is not the device id of Defender")


def _event_time(value: str) -> _Value:
    found = event_time.read(value)
    return _Value(found.text, _some(found.note), found.truncated)


def _report_id(value: str) -> _Value:
    text = value.strip()
    if shapes.GUID.fullmatch(text):
        raise ValueError(
            "is a GUID: the ReportId of an email, identity or cloud app event, which this API cannot find"
        )
    if text.startswith("-") and _NUMBER.fullmatch(text[1:]):
        raise ValueError("is negative")
    if not _NUMBER.fullmatch(text):
        of_email = shapes.GUID.match(text) or "_" in text
        raise ValueError(
            "is no whole number"
            + (": so are the ReportIds of email and cloud app events" if of_email else "")
        )
    number = Decimal(text)
    if number > _MAX_INT64:
        raise ValueError("is larger than any 64-bit number")
    if number != int(number):
        raise ValueError("is no whole number")
    result = str(int(number))
    if number > _MAX_EXACT_DOUBLE and len(number.as_tuple().digits) < len(result):
        raise ValueError(
            "is a rounded number, its last digits are lost. Send it as text all the way, tostring(ReportId) in KQL"
        )
    notes = _some(f"{text} became {result}" if result != text else None)
    if number > _MAX_EXACT_DOUBLE and number in (Decimal(repr(float(number))), Decimal(float(number))):
        notes += _some(
            f"{result} is above 2^53 and equal to a floating-point number: it was probably rounded on the way"
            " (JavaScript, Logic Apps). Send it as text, tostring(ReportId) in KQL"
        )
    return _Value(result, notes)


def _severity(value: str) -> _Value:
    word = vocabulary.severity(value)
    return _Value(word.text, _some(word.note))


def _category(value: str) -> _Value:
    word = vocabulary.category([value])
    return _Value(word.text, _some(word.note))


def _line(field: str) -> Callable[[str], _Value]:
    def read(value: str) -> _Value:
        return _fitted(field, " ".join(_UNSENDABLE.sub(" ", value).split()))

    return read


def _lines(field: str) -> Callable[[str], _Value]:
    def read(value: str) -> _Value:
        text = value.replace("\r\n", "\n").replace("\r", "\n")
        return _fitted(field, _UNSENDABLE.sub(" ", text).strip())

    return read


def _fitted(field: str, text: str) -> _Value:
    notes: tuple[str, ...] = ()
    if _HALF_PAIR.search(text):
        text = _HALF_PAIR.sub("\ufffd", text)
        notes += ("half characters were replaced by U+FFFD",)
    if not text:
        raise ValueError("has no printable character")
    limit = MAX_LENGTHS[field]
    if units(text) > limit:
        notes += (f"cut from {units(text):,} to {limit:,} characters",)
    return _Value(cut(text, limit), notes)


def _joins(character: str) -> bool:
    return unicodedata.category(character) in ("Mn", "Me", "Mc") or character == _JOINER


def _some(note: str | None) -> tuple[str, ...]:
    return (note,) if note else ()


_READERS: Mapping[str, Callable[[str], _Value]] = {
    "machineId": _machine_id,
    "eventTime": _event_time,
    "reportId": _report_id,
    "severity": _severity,
    "category": _category,
    "title": _line("title"),
    "description": _lines("description"),
    "recommendedAction": _lines("recommendedAction"),
}
_ACCEPTED: Mapping[str, str] = {
    "machineId": "the DeviceId of Defender's advanced hunting, 40 hex digits",
    "eventTime": event_time.ACCEPTED,
    "reportId": "the event's ReportId of advanced hunting, a whole number below 2^63, best as text",
    "severity": ", ".join(SEVERITIES),
    "category": ", ".join(CATEGORIES),
    "title": "text; up to 256 characters are kept",
    "description": "text; up to 4,096 characters are kept",
    "recommendedAction": "text; up to 4,096 characters are kept",
}
