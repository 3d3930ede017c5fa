"""The texts found under the names of a field: which of them are usable, and which is the best."""

import functools
import re
from collections.abc import Iterator, Sequence

from shared.alerts import alert, vocabulary
from shared.alerts.text import GUID, visible
from shared.payload import grouping, hunting, names, texts
from shared.payload.paths import Place, name_of

_MAX_TITLE = 300
_READ = 1_000  # characters of a text that tell whether it says anything
# Not a name: aws:s3:ObjectCreated, INSERT, a number.
_RESOURCE = re.compile(
    r"[a-z0-9_.-]{1,60}(?::[\w./-]{1,60}){1,6}|[\W\d_]*"
    r"|INSERT|MODIFY|REMOVE|UPDATE|DELETE|CREATE|ALERT|INCIDENT|EVENT|PROBLEM|TEST|OK|INFO"
)
_NOT_ATTACK = re.compile(
    r"(?:dept|department|team|env|environment|owner|site|host|device|build|project|asset|region|location|customer)\W",
    re.IGNORECASE,
)
_MAX_TAGS, _MAX_TEXT = 50, 4_096  # parts of a tag, and its characters, that are read
_ID = re.compile(r"\d+|[0-9a-f]{32,64}|\[object \w+\]", re.ASCII | re.IGNORECASE)
# Not a name either, but what holds the keys.
_KEY = re.compile(r"(?:device|report) ?_?id[*_`\"']{0,3} ?[=:]", re.IGNORECASE)


def best(field: str, options: Sequence[grouping.Text]) -> tuple[str, Place] | None:
    """Return the text under the most specific name; of severities and categories the first known word.

    Of device names, return the nearest to the event; None if different ones are equally near.
    """
    if field == "device":
        nearest = min((outside for _, outside, _, _ in options), default=0)
        options = [option for option in options if option[1] == nearest]
        rank = min((rank for rank, _, _, _ in options), default=0)
        if len({text.lower() for at, _, text, _ in options if at == rank}) > 1:
            return None
    ranked = sorted(options, key=grouping.order)
    for _, _, text, place in ranked if field in ("severity", "category") else ():
        try:
            word = vocabulary.severity(text) if field == "severity" else vocabulary.category([text])
        except ValueError:
            continue
        if word.text != vocabulary.NO_EQUAL:
            return text, place
    return ranked[0][2:] if ranked else None


def readings(field: str, values: list[str], scale: str) -> list[str]:
    """Return the usable texts under a name of a field: titles as one line, numbers by their scale."""
    if field == "title":
        values = [texts.headline(text) for text in values if not texts.is_record(text) and "<t" not in text]
    elif field in ("description", "recommendedAction") and len(values) > 1:
        values = ["\n".join(values)]
    elif scale:
        values = [_rated(text, scale) for text in values]
    return [text for text in values if suits(field, text)]


def _rated(text: str, scale: str) -> str:
    """Return a number on a scale as a word of severity; any other text as it is."""
    try:
        return vocabulary.severity(text, scale).text
    except ValueError:
        return text


def suits(field: str, text: str) -> bool:
    """Say whether a text has the form that its name promises: a link is a URL, a table one of Defender's."""
    if field == "link":
        return text.startswith(("https://", "http://"))
    if field in ("table", "category"):
        return (hunting.table({"Table": text}) is not None) is (field == "table")
    if field in ("title", "description") and texts.is_record(text):
        return False  # which is read for what is in it
    if field == "title" and (is_id(text) or _RESOURCE.fullmatch(text) or _KEY.search(text)):
        return False
    silent = field in alert.MAX_LENGTHS and says_nothing(text)
    return not silent and (field not in ("title", "device") or len(text) <= _MAX_TITLE)


def leave_anybodys(group: grouping.Group, name: str) -> None:
    """Remove texts that may belong to another thing, such as a patch's severity, unless object `name` is an alert's.

    An alert's object is a rule, a detection and so on, its labels, or a part of its message.
    """
    if any(names.named_as(kind, name) for kind in ("bags", "eventLike", "parts")):
        return
    if names.word(name.rpartition(".")[2]).removesuffix("s") in _tellers():
        return
    for field, known in names.table("tellers")["names"].items():
        if field in group.texts:
            words = {names.word(text) for text in known}
            group.texts[field] = [
                text
                for text in group.texts[field]
                if names.word(name_of(text[3]).rpartition(".")[2]) not in words
            ]


@functools.cache
def _tellers() -> frozenset[str]:
    """Return the names of objects that describe an alert, in the singular: `rule`, `alertdetail`, `securityalert`."""
    table = names.table("tellers")
    return frozenset(
        names.word(f"{before}{teller}{behind}").removesuffix("s")
        for teller in table["tellers"]
        for before in ("", *table["before"])
        for behind in ("", *table["behind"])
    )


def attack(tag: grouping.Text) -> Iterator[grouping.Text]:
    """Yield the parts of a tag that name a category; most tags do not, such as `env:prod` or `dept:discovery`."""
    rank, outside, text, place = tag
    parts = re.split(r"[,;|\n]", text[:_MAX_TEXT])[:_MAX_TAGS]
    parts = [part for part in parts if not _NOT_ATTACK.match(part.strip())]
    try:
        if vocabulary.category(parts).text != vocabulary.NO_EQUAL:
            yield rank, outside, ",".join(parts), place
    except ValueError:
        return


def is_id(text: str) -> bool:
    """Say whether a text is an id, a number, or `[object Object]`, and so no useful name."""
    return _ID.fullmatch(text.strip()) is not None or GUID.fullmatch(text.strip()) is not None


def says_nothing(text: str) -> bool:
    """Say whether a text stands for no value: null, N/A, a dash, or only invisible characters."""
    text = text.strip()[:_READ]
    return text.lower() in _NOTHING or not visible(text)[0].strip()


_NOTHING = frozenset(
    ("", "null", "none", "nil", "nan", "undefined", "n/a", "na", "-", "--", "(null)", "<null>", "unknown")
)
