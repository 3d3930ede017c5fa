"""The judge of the field corpus: sends a case to the webhook and reports which expectations do not hold.

A case is what a product sends (`NAME.json`, a body, or `NAME.request.json`, requests) and an entry in its
folder's `expected.json`. `tests/field/README.md` explains the words of an expectation.
"""

import base64
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qsl

import azure.functions as func

from CreateAlertFunction import main
from shared import app
from shared.settings import Settings
from tests.checks.virtual import ORIGIN, Defender, Host, World

ROOT = Path(__file__).parents[2]
KEY = "a-made-up-function-key"
DRY = "dryRun=true"
REFERENCE = ("machineId", "reportId", "eventTime")
BAD, BROKEN = 400, 500
UNSERVED = (404, 405)


@dataclass(frozen=True, slots=True)
class Case:
    """One case: its requests as `NAME.request.json` describes them, and the expectation for each."""

    name: str
    requests: tuple[Mapping[str, Any], ...]
    expect: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to the sender. Header names are in small letters; `document` is the body's JSON object or {}."""

    status: int
    headers: Mapping[str, str]
    body: str

    @property
    def document(self) -> dict[str, Any]:
        """Return the body's JSON object, or an empty one."""
        try:
            value = json.loads(self.body)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}


def cases(folder: Path) -> list[Case]:
    """Return the cases of a folder. Raise `ValueError` if its files and its `expected.json` differ."""
    expected = json.loads((folder / "expected.json").read_text("utf-8"))
    files = {path.name for path in folder.glob("*.json")} - {"expected.json"}
    if odd := sorted(files ^ set(expected)):
        raise ValueError(f"only a file or only an entry in {folder / 'expected.json'}: {', '.join(odd)}")
    return [Case(name, _requests(folder / name), expected[name]["expect"]) for name in sorted(files)]


def faults(case: Case) -> list[str]:
    """Send a case's requests; return each word of its expectation that an answer does not fulfil, with the reason."""
    return [fault for request in case.requests for fault in judge(case.expect, send(request))]


def send(request: Mapping[str, Any]) -> Answer:
    """Send one request to the function in a fresh virtual world, whose Defender knows every event."""
    method = request.get("method", "POST")
    trigger = json.loads((ROOT / "CreateAlertFunction" / "function.json").read_text("utf-8"))["bindings"][0]
    if method.lower() not in trigger["methods"]:
        return Answer(404, {}, "")
    query = request.get("query", DRY).replace("{key}", KEY)
    asked = func.HttpRequest(
        method,
        f"{ORIGIN}/api/alerts?{query}",
        headers=request.get("headers", {})
        | ({"Transfer-Encoding": "chunked"} if request.get("chunked") else {}),
        params=_as_the_host_reads(query),
        body=_body(request),
    )
    world = World()
    host = Host(world, arrive=Defender(world))
    webhook = host.webhook(Settings())
    with patch.object(app, "webhook", lambda: webhook):
        answer = world.finish(host.submit(lambda: main(asked)))
    headers = {name.lower(): value for name, value in answer.headers.items()}
    headers.setdefault("content-type", f"{answer.mimetype}; charset={answer.charset}")
    return Answer(answer.status_code, headers, answer.get_body().decode())


def judge(expect: Mapping[str, Any], answer: Answer) -> list[str]:
    """Return which words of an expectation an answer does not fulfil. Raise `KeyError` for an unknown word."""
    return [fault for word, wanted in expect.items() for fault in _WORDS[word](word, wanted, answer)]


def outcome(answer: Answer) -> str:
    """Return an answer's outcome in the words of expectations, or its status if it is an error of ours."""
    if answer.status >= BROKEN:
        return f"an error, {answer.status}"
    if answer.status >= BAD:
        return "unserved" if answer.status in UNSERVED else "refused"
    if "alerts" not in answer.document:
        return "handshake"
    if not answer.document["alerts"]:
        return str(answer.document["status"])
    if answer.document["refused"]:
        return "partly"
    return "alert" if len(answer.document["alerts"]) == 1 else "alerts"


def fits(wanted: Any, actual: Any) -> bool:
    """Return whether a value is the wanted one, contains `{"contains": text}`, or is one of a list of such."""
    if isinstance(wanted, list):
        return any(fits(choice, actual) for choice in wanted)
    if isinstance(wanted, dict):
        return wanted["contains"] in str(actual)
    return bool(wanted == actual)


def _requests(path: Path) -> tuple[Mapping[str, Any], ...]:
    if not path.name.endswith(".request.json"):
        return ({"bodyBase64": base64.b64encode(path.read_bytes()).decode()},)
    described = json.loads(path.read_text("utf-8"))
    return tuple(described) if isinstance(described, list) else (described,)


def _body(request: Mapping[str, Any]) -> bytes:
    if "bodyBase64" in request:
        return base64.b64decode(request["bodyBase64"], validate=True)
    return str(request.get("body", "")).encode()


def _as_the_host_reads(query: str) -> dict[str, str]:
    """Return parameters as the Functions host passes them: without empty ones, repeated ones joined by commas."""
    headers: dict[str, str] = {}
    for name, value in parse_qsl(query):
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


def _alerts(answer: Answer) -> list[dict[str, Any]]:
    return list(answer.document.get("alerts", []))


def _problem_fields(answer: Answer) -> list[list[str]]:
    """Return the fields that are reported as problems: of each refused event, and of the request as a whole."""
    document = answer.document
    events = [event["problems"] for event in document.get("refused", [])] + [document.get("problems", [])]
    return [[problem["field"] for problem in problems] for problems in events]


def _reason(answer: Answer) -> str:
    """Return all texts of a refusal, or the reason for ignoring."""
    if answer.status >= BAD:
        return "\n".join(_texts(answer.document)) or answer.body
    return "\n".join(_texts([answer.document.get("reason"), answer.document.get("refused")]))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str):
        yield value


def _missing(wanted: list[Any], text: str) -> list[Any]:
    """Return which texts are missing, in any case; of a list inside, one must be there."""
    text = text.lower()
    return [
        text_part
        for text_part in wanted
        if not any(part.lower() in text for part in ([text_part] if type(text_part) is str else text_part))
    ]


def _difference(word: str, wanted: Any, actual: Any) -> list[str]:
    return [f"{word}: {wanted!r} expected, {actual!r} found"]


def _outcome(word: str, wanted: Any, answer: Answer) -> list[str]:
    actual = outcome(answer)
    return (
        []
        if fits(wanted, actual)
        else [*_difference(word, wanted, actual), f"  answer: {answer.body[:1500]}"]
    )


def _status(word: str, wanted: Any, answer: Answer) -> list[str]:
    return [] if fits(wanted, answer.status) else _difference(word, wanted, answer.status)


def _triples(word: str, wanted: list[list[str]], answer: Answer) -> list[str]:
    actual = sorted([alert["request"][name] for name in REFERENCE] for alert in _alerts(answer))
    return [] if actual == sorted(wanted) else _difference(word, wanted, actual)


def _field(word: str, wanted: Any, answer: Answer) -> list[str]:
    actual = [alert["request"][word] for alert in _alerts(answer)]
    return (
        [] if actual and all(fits(wanted, value) for value in actual) else _difference(word, wanted, actual)
    )


def _not_severity(word: str, wanted: Any, answer: Answer) -> list[str]:
    actual = [alert["request"]["severity"] for alert in _alerts(answer)]
    return _difference(word, wanted, actual) if any(fits(wanted, value) for value in actual) else []


def _not_title(word: str, wanted: list[str] | str, answer: Answer) -> list[str]:
    parts = [wanted] if isinstance(wanted, str) else wanted
    titles = [alert["request"]["title"] for alert in _alerts(answer)]
    return (
        _difference(word, wanted, titles) if any(part in title for title in titles for part in parts) else []
    )


def _refused_fields(word: str, wanted: list[str], answer: Answer) -> list[str]:
    refused_fields = sorted({field for fields in _problem_fields(answer) for field in fields})
    return [] if set(wanted) <= set(refused_fields) else _difference(word, wanted, refused_fields)


def _sound_fields(word: str, wanted: list[str], answer: Answer) -> list[str]:
    refused_fields = sorted({field for fields in _problem_fields(answer) for field in fields})
    return _difference(word, wanted, refused_fields) if set(wanted) & set(refused_fields) else []


def _names(word: str, wanted: list[Any], answer: Answer) -> list[str]:
    missing = _missing(wanted, _reason(answer))
    return _difference(word, missing, _reason(answer)[:1500]) if missing else []


def _not_names(word: str, wanted: list[Any], answer: Answer) -> list[str]:
    there = [part for part in wanted if not _missing([part], _reason(answer))]
    return _difference(word, there, _reason(answer)[:1500]) if there else []


def _notes_contain(word: str, wanted: list[Any], answer: Answer) -> list[str]:
    notes = [note for alert in _alerts(answer) for note in alert["notes"]]
    missing = _missing(wanted, "\n".join(notes))
    return _difference(word, missing, notes) if missing else []


def _max_times_told(word: str, wanted: int, answer: Answer) -> list[str]:
    most = max((count for fields in _problem_fields(answer) for count in Counter(fields).values()), default=0)
    return [] if most <= wanted else _difference(word, wanted, most)


def _headers(word: str, wanted: Mapping[str, Any], answer: Answer) -> list[str]:
    return [
        fault
        for name, value in wanted.items()
        if not fits(value, answer.headers.get(name.lower()))
        for fault in _difference(f"{word}: {name}", value, answer.headers.get(name.lower()))
    ]


def _exact_body(word: str, wanted: str, answer: Answer) -> list[str]:
    return [] if answer.body == wanted else _difference(word, wanted, answer.body)


def _json(word: str, wanted: Mapping[str, Any], answer: Answer) -> list[str]:
    actual = {name: answer.document.get(name) for name in wanted}
    return [] if actual == wanted else _difference(word, wanted, actual)


def _either(_word: str, wanted: list[Mapping[str, Any]], answer: Answer) -> list[str]:
    judged = [judge(wish, answer) for wish in wanted]
    return [] if not all(judged) else [f"either: {fault}" for faults in judged for fault in faults]


_WORDS: Mapping[str, Callable[[str, Any, Answer], list[str]]] = {
    "outcome": _outcome,
    "status": _status,
    "triples": _triples,
    "severity": _field,
    "category": _field,
    "title": _field,
    "description": _field,
    "recommendedAction": _field,
    "not_severity": _not_severity,
    "not_title": _not_title,
    "refused_fields": _refused_fields,
    "sound_fields": _sound_fields,
    "names": _names,
    "not_names": _not_names,
    "notes_contain": _notes_contain,
    "max_times_told": _max_times_told,
    "headers": _headers,
    "body": _exact_body,
    "json": _json,
    "either": _either,
}
