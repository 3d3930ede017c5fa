"""The eight fields of a `CreateAlertByReference` call: what Defender allows, and all problems of an alert at once.

The rules are of Microsoft's page "Create alert from event", and of reports; the lengths of texts are ours.
"""

import hashlib
import json
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from types import MappingProxyType

from shared.alerts import event_time, vocabulary
from shared.alerts import text as texts
from shared.alerts.placeholder import unfilled
from shared.alerts.text import GUID
from shared.errors import Problem

cut, shown, units = texts.cut, texts.shown, texts.units

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
TEXTS = FIELDS[3:]
"""The fields beside the reference."""
MAX_LENGTHS: Mapping[str, int] = MappingProxyType(
    {"title": 256, "description": 4096, "recommendedAction": 4096}
)
"""The longest texts we send, in UTF-16 units. Longer ones are cut and end in an ellipsis."""

WITHOUT_EVENT = "entity:"
"""Begins the report id of an alert that has no event: its id follows."""

_MAX_INT64 = 2**63 - 1
_MAX_EXACT_DOUBLE = 2**53
_READ = 16_384  # characters of a text: four times what the longest field takes
_MACHINE_ID = re.compile(r"[0-9a-f]{40}", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,40}(?:\.[0-9]{0,40})?(?:[eE][+-]?[0-9]{1,2})?")
_UNSENDABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffe\uffff]")
_LINE_ENDS = re.compile("\r\n?|[\u2028\u2029]")
_DATE_OBJECT = {"value", "datetime"}
_HALF_PAIR = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Alert:
    """The body of one `CreateAlertByReference` call. `check` makes it, `from_body` reads it back."""

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
        return dict(zip(FIELDS, _values(self), strict=True))

    @classmethod
    def from_body(cls, body: Mapping[str, str]) -> "Alert":
        """Return the alert of a stored body. Raises `KeyError` if a field is missing; checks nothing."""
        return cls(*(body[field] for field in FIELDS))

    @property
    def id(self) -> str:
        """32 hex digits, of a SHA-256 over reference and title, or as an alert that has no event brings them."""
        if self.report_id.startswith(WITHOUT_EVENT):
            return self.report_id.removeprefix(WITHOUT_EVENT)
        # As a JSON array, so that no title can imitate the border between two fields.
        named = json.dumps([self.machine_id, self.event_time, self.report_id, self.title])
        return hashlib.sha256(named.encode()).hexdigest()[:32]


_values = operator.attrgetter(*(field.name for field in fields(Alert)))


@dataclass(frozen=True, slots=True)
class Checked:
    """An alert, or all problems of its values. `notes` say what was changed.

    `time_truncated`: the event's time certainly lost digits, so trying again after a 404 is useless. `texts` are the
    five fields beside the reference, if they are allowed.
    """

    alert: Alert | None
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    time_truncated: bool = False
    texts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Value:
    text: str
    notes: tuple[str, ...] = ()
    truncated: bool = False


def check(values: Mapping[str, object], now: float | None = None) -> Checked:
    """Return the alert that values by the API's names make, or everything that is wrong with them.

    A value is text. Numbers come as text too (`payload.Number`), exactly as they were written. `now`, in UTC
    seconds, adds a note to a time that is too old for Defender, or in the future.
    """
    readings: dict[str, _Value] = {}
    wrong: list[Problem] = []
    for name in FIELDS:
        value = values.get(name)
        try:
            readings[name] = _read(name, value)
        except ValueError as reason:
            wrong.append(Problem(name, f"{reason}. Accepted: {_ACCEPTED[name]}."))
    notes = tuple(f"{name}: {note}" for name, value in readings.items() for note in value.notes)
    if now is not None and (time := readings.get("eventTime")):
        notes += tuple(
            f"eventTime: {time.text} {why}" for why in _some(event_time.unfindable(time.text, now))
        )
    if wrong:
        texts_ = {name: readings[name].text for name in TEXTS} if readings.keys() >= set(TEXTS) else {}
        return Checked(None, tuple(wrong), notes, texts=texts_)
    alert = Alert(*(readings[name].text for name in FIELDS))
    return Checked(alert, (), notes, readings["eventTime"].truncated)


def canonical(field: str, value: str) -> str | None:
    """Return a field's value as it would be sent, or None if the value is not allowed."""
    try:
        return _READERS[field](value).text
    except ValueError:
        return None


def _read(field: str, value: object) -> _Value:
    if value is None:
        raise ValueError("is missing")
    if value in ([], {}) or (isinstance(value, str) and not value.strip()):
        raise ValueError(f"{shown(value)} is empty")
    if field == "eventTime" and isinstance(value, dict) and {key.lower() for key in value} >= _DATE_OBJECT:
        raise ValueError(event_time.POWERSHELL)
    if not isinstance(value, str):
        raise ValueError(f"{shown(value)} is not text")  # noqa: TRY004  # every problem is a ValueError here
    try:
        return _READERS[field](str(value))
    except ValueError as reason:
        why = "is a placeholder that the sender did not fill" if unfilled(value) else reason
        raise ValueError(f"{shown(value)} {why}") from None


def _key(read: Callable[[str], _Value]) -> Callable[[str], _Value]:
    """Return a reader that removes invisible characters at a value's ends, and refuses them elsewhere."""

    def read_visible(value: str) -> _Value:
        text, left_out = texts.trimmed(value)
        try:
            result = read(text)
        except ValueError:
            if unseen := texts.unseen(text):
                raise ValueError(f"contains an invisible character: {unseen}") from None
            raise
        notes = _some(f"removed an invisible character: {left_out}" if left_out else None)
        return replace(result, notes=notes + result.notes) if notes else result

    return read_visible


def _machine_id(value: str) -> _Value:
    text = value.removeprefix("DeviceId:")  # as Google's UDM writes it
    if _MACHINE_ID.fullmatch(text):
        return _Value(text)
    if _MACHINE_ID.fullmatch(text.lower()):
        return _Value(text.lower(), ("was in capital letters; Defender uses small letters",))
    if GUID.fullmatch(text):
        raise ValueError(
            "is a GUID: an Entra (Azure AD) device id or another product's id, not the device id of Defender"
        )
    if re.fullmatch("[0-9a-fA-F]{32}", text):
        raise ValueError("has 32 hex digits: another product's agent id, for instance CrowdStrike's")
    if re.fullmatch("[0-9a-fA-F]+", text):
        raise ValueError(f"has {len(text)} hex digits")
    raise ValueError("is not the device id of Defender")


def _event_time(value: str) -> _Value:
    time = event_time.read(value)
    return _Value(time.text, _some(time.note), time.truncated)


def _report_id(text: str) -> _Value:
    if GUID.fullmatch(text):
        raise ValueError(
            "is a GUID: the ReportId of an email, identity or cloud app event, which this API cannot find"
        )
    if text.startswith("-") and _NUMBER.fullmatch(text[1:]):
        raise ValueError("is negative")
    if not _NUMBER.fullmatch(text):
        of_email = GUID.match(text) or "_" in text
        raise ValueError(
            "is not a whole number"
            + ("; ReportIds of email and cloud app events have such a form" if of_email else "")
        )
    number = Decimal(text)
    if number > _MAX_INT64:
        raise ValueError("is larger than any 64-bit number")
    if number != int(number):
        raise ValueError("is not a whole number")
    result = str(int(number))
    cut_off = number > _MAX_EXACT_DOUBLE or "e+" in text.lower()  # a spreadsheet's 4.18E+04
    if cut_off and len(number.as_tuple().digits) < len(result):
        raise ValueError(
            "is a rounded number: its last digits are lost. Send it as text in every step: tostring(ReportId) in KQL"
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


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _text(field: str, arranged: Callable[[str], str]) -> Callable[[str], _Value]:
    """Return a reader of texts that removes invisible and unsendable characters, and cuts at the field's limit."""
    limit = MAX_LENGTHS[field]

    def read(value: str) -> _Value:
        text, hidden = texts.visible(value[:_READ])
        unread = units(value[_READ:])
        notes = _some(f"removed an invisible character: {hidden}" if hidden else None)
        text = arranged(_UNSENDABLE.sub(" ", _LINE_ENDS.sub("\n", text)))
        if _HALF_PAIR.search(text):
            text = _HALF_PAIR.sub("\ufffd", text)
            notes += ("half characters were replaced by U+FFFD",)
        if not text:
            raise ValueError("has no printable character")
        if units(text) + unread > limit:
            notes += (f"cut from {units(text) + unread:,} to {limit:,} characters",)
        return _Value(cut(text, limit), notes)

    return read


def _some(note: str | None) -> tuple[str, ...]:
    return (note,) if note else ()


_READERS: Mapping[str, Callable[[str], _Value]] = {
    "machineId": _key(_machine_id),
    "eventTime": _key(_event_time),
    "reportId": _key(_report_id),
    "severity": _severity,
    "category": _category,
    "title": _text("title", _one_line),
    "description": _text("description", str.strip),
    "recommendedAction": _text("recommendedAction", str.strip),
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
