"""Shows what a payload becomes, and why: its source, the place of each field, and the body for Defender.

    make map FILE=payload.json                        recognised, as the webhook would
    make map FILE=payload.json SOURCE=splunk          read by this mapping
    make map FILE=- ARGS="severity=High title=Test"   from standard input, with parameters as in the URL
    make map FILE=payload.json ARGS=--anonymise       the payload with made-up values, to be sent with a report
    make map FILE=payload.json ARGS=--hunt            searches for its events in the simulator of `make start`

Of an event without a whole reference it shows the clues to it, and the KQL that a search would run. MAPPINGS_PATH names
a folder of your own mappings, as it does for the app. Nothing is sent, except with --hunt the queries. Exits 1 if an
event is refused or a file of yours is broken, at which it stops, and 2 if the payload cannot be read at all, or no
simulator runs to search in. With --anonymise the payload alone goes to standard output, and the exit code is 0 as soon
as it can be read.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.syntax import Syntax
from rich.text import Text

from dev import anonymise, hunt, outcomes
from dev.hunt import Hunt
from shared.alerts import alert
from shared.errors import Problem, WebhookError
from shared.mapping import mappings as mapping
from shared.mapping.mappings import Mappings
from shared.mapping.outcome import Evidence, Mapped, Outcome, Refused
from shared.payload import names
from shared.web import evidence

_USAGE = 'Name a payload: make map FILE=payload.json [SOURCE=splunk] [ARGS="severity=High"]'
_ANONYMISE, _HUNT = "--anonymise", "--hunt"
_MOST = 20  # events shown
_VALUE, _ORIGIN = 48, 90


def show(outcome: Outcome, mappings: Mappings, console: Console, search: Hunt | None = None) -> None:
    """Print an outcome for a person; with `search`, also what is found of events without a whole reference."""
    for step in outcome.steps:
        _line(console, ("→ ", "dim"), step)
    for name in (outcome.source or "").split("+"):
        source = mappings.sources.get(name)
        if source and source.recognise:
            conditions = " | ".join(condition.text for condition in source.recognise)
            heading = f"  {name} recognises a payload (priority {source.priority}) by  "
            _line(console, (heading, "dim"), (conditions, "dim"))
    if outcome.ignored is not None:
        _line(console, ("ignored ", "yellow"), outcome.ignored)
        if outcome.reply is not None:
            _json(console, outcome.reply)
    events: list[Mapped | Refused] = sorted(
        (*outcome.alerts, *outcome.refused), key=lambda event: event.event
    )
    for event in events[:_MOST]:
        console.print()
        _event(event, console, search)
    if len(events) > _MOST:
        _line(console, (f"\n… and {len(events) - _MOST} more", "dim"))
    _line(console, (f"\n{len(outcome.alerts)} to raise, {len(outcome.refused)} refused", "bold"))


def _event(event: Mapped | Refused, console: Console, search: Hunt | None) -> None:
    body = event.alert.body() if isinstance(event, Mapped) else {}
    verdict = ("valid", "green") if body else ("refused", "red")
    _line(console, (f"event {event.event} ", "bold"), verdict)
    told = [name for name in alert.FIELDS if name in body or name in event.origins]
    _fields(console, [(name, body.get(name, ""), event.origins.get(name, "")) for name in told])
    if isinstance(event, Mapped):
        late = ["the time lost digits: a 404 will not be tried again"] if event.time_truncated else []
        for note in (*event.notes, *late):
            _line(console, ("  note  ", "yellow"), note)
    else:
        _problems(console, event.problems)
        _problems(console, [Problem("remedy", event.remedy)] if event.remedy else [])
    if event.evidence is not None:
        _evidence(console, event.evidence, search)
    if body:
        _json(console, body)


def _evidence(console: Console, item: Evidence, search: Hunt | None) -> None:
    """Print what a reference lost, the clues to its event, the query for it, and with `search` what that finds."""
    for lost in item.lost:
        _line(console, ("  lost  ", "yellow"), lost)
    shown = evidence.shown(item)
    if shown["clues"]:
        _line(console, ("  clues to the event:", "bold"))
    _fields(console, [(clue["name"], clue["value"], clue["place"]) for clue in shown["clues"]])
    if shown["query"] is None:
        _line(console, ("  no query  ", "yellow"), evidence.missing(item.scan))
        return
    _line(console, ("\nthe query with which advanced hunting may find it:", "bold"))
    _line(console, (shown["query"], "dim"))
    for line in search.lines(item) if search else ():
        _line(console, line)


def _fields(console: Console, rows: Sequence[tuple[str, str, str]]) -> None:
    for name, value, origin in rows:
        shown = f"{_cut(value, _VALUE):{_VALUE}}  " if value else ""
        colour = "cyan" if name in names.KEYS else "blue"
        _line(console, "  ", (f"{name:18}", colour), shown, (f"← {_cut(origin, _ORIGIN)}", "dim"))


def _cut(text: str, limit: int) -> str:
    return alert.cut(" ".join(text.split()), limit)


def _problems(console: Console, problems: Sequence[Problem]) -> None:
    for problem in problems:
        _line(console, (f"  {problem.field}  ", "red"), problem.detail)


def _json(console: Console, value: object) -> None:
    text = json.dumps(value, indent=2, ensure_ascii=False)
    if console.is_terminal:
        console.print(Syntax(text, "json", background_color="default", word_wrap=True))
    else:
        _line(console, text)


def _line(console: Console, *parts: str | Text | tuple[str, str]) -> None:
    """Print parts of a line, each with its style, if it has one."""
    console.print(Text.assemble(*parts), soft_wrap=not console.is_terminal)


def anonymised(
    body: bytes, query: Mapping[str, str], own: Path | None, mappings: Mappings
) -> tuple[str, str]:
    """Return the payload with made-up values, and what to say of it. Raises `WebhookError` if it cannot be read."""
    text = anonymise.anonymise(body, own)
    before, after = (anonymise.gist(payload, query, mappings) for payload in (body, text.encode()))
    advice = (
        "Read it through before you send it: names of keys, and words that mappings know, are as they were."
    )
    if before != after:
        advice = f"It becomes {after}, the payload itself {before}. Say so when you send it.\n{advice}"
    return text, advice


def main(arguments: Sequence[str], environ: Mapping[str, str], console: Console) -> int:
    """Show what the payload of a file becomes, or the payload anonymised. Return the exit code."""
    files = [each for each in arguments if "=" not in each and each not in (_ANONYMISE, _HUNT)]
    query = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    if len(files) != 1 or files[0].startswith("--"):
        _line(console, _USAGE)
        return 2
    own = Path(environ["MAPPINGS_PATH"]) if environ.get("MAPPINGS_PATH") else None
    mappings = mapping.load(own)
    try:
        body = sys.stdin.buffer.read() if files[0] == "-" else Path(files[0]).read_bytes()
        if _ANONYMISE in arguments:
            text, advice = anonymised(body, query, own, mappings)
            print(text, file=console.file)
            print(advice, file=sys.stderr)
            return 0
        if mappings.broken:
            _problems(console, mappings.broken)
            return 1
        search = Hunt(hunt.running()) if _HUNT in arguments else None
        outcome = outcomes.outcome_of(body, query, mappings, clues=True)
    except OSError as error:
        _line(console, (f"{files[0]} cannot be read: {error.strerror}", "red"))
    except hunt.NoSimulator as error:
        _line(console, (str(error), "red"))
    except WebhookError as error:
        _line(console, (f"{error.status} ", "red"), error.detail)
    else:
        show(outcome, mappings, console, search)
        return 1 if outcome.refused else 0
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ, Console(highlight=False)))
