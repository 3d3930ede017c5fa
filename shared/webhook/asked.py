"""What the URL of a POST asks for: a source, defaults for the fields, a dry run.

A misspelt parameter must not raise a real alert, so a name that is nearly a known one, or that means a dry run in
other words, is refused. Any other unknown name only gives a note, because some senders append their own.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from shared.alerts.text import shown
from shared.errors import RequestError
from shared.web import parameters

DEFAULTS = ("severity", "category", "title", "description", "recommendedAction")
KNOWN = (*DEFAULTS, "source", "dryRun", "validationToken")
_TRIALS = ("dry", "test", "validate", "preview", "simulat", "whatif")
_INSIDE = re.compile(r"[?&;](?:amp;)?dry[-_.]?run(?:\[\])?(?:=|$)", re.IGNORECASE)
"""A dry run that became part of another parameter's value: `?title=a?dryRun=true`."""
_NEAR = 2
_NAME_LETTERS = 40
_NAMES_NOTED = 5


@dataclass(frozen=True, slots=True)
class Asked:
    """The parameters of a POST, under their known names. `wrong` is the error if they are not accepted, or None."""

    values: Mapping[str, str]
    dry: bool
    notes: tuple[str, ...]
    wrong: RequestError | None

    def text(self, name: str) -> str | None:
        """Return the value of a known parameter, or None if it is missing or empty."""
        return self.values.get(name, "").strip() or None


def read(query: Mapping[str, str]) -> Asked:
    """Return the parameters of a URL; a name may be written in any case and with any punctuation."""
    values: dict[str, str] = {}
    unknown: list[str] = []
    wrong: RequestError | None = None
    for name, value in query.items():
        if inside := _INSIDE.search(value):  # also in the host's own: a header may hold the key that counts
            alone = "the value alone; the next parameter begins with &"
            wrong = wrong or parameters.wrong(name, inside[0], alone)
        if name.lower() in parameters.HOSTS_OWN:
            continue
        plain = _plain(name)
        known = _BY_PLAIN_NAME.get(plain)
        if known is None:
            wrong = wrong or _meant(name, plain)
            unknown.append(name)
        key = known or name
        values[key] = f"{values[key]},{value}" if key in values else value  # as the Functions host joins them
    dry = values.get("dryRun", "false").strip().lower()
    if dry not in ("", "true", "false"):  # what was meant to be dry must not reach a device
        wrong = wrong or parameters.wrong("dryRun", values["dryRun"], "true, false, or no value")
    return Asked(values, dry in ("", "true"), tuple(_notes(unknown)), wrong)


def _meant(name: str, plain: str) -> RequestError | None:
    """Return the error for an unknown name that was meant to be a known one."""
    if plain.removeprefix("is").startswith(_TRIALS) or "dryrun" in plain:
        return parameters.unknown(name, "dryRun=true, which is the only name of a dry run")
    near = next((known for name, known in _BY_PLAIN_NAME.items() if _distance(plain, name) <= _NEAR), None)
    return parameters.unknown(name, f"{near}; all parameters are {', '.join(KNOWN)}") if near else None


def _notes(unknown: list[str]) -> Iterator[str]:
    if unknown:
        names = ", ".join(shown(name) for name in unknown[:_NAMES_NOTED])
        more = f" and {len(unknown) - _NAMES_NOTED} more" if len(unknown) > _NAMES_NOTED else ""
        yield f"These parameters are unknown and were ignored: {names}{more}."


def _plain(name: str) -> str:
    """Return a parameter's name in small letters and digits only; `amp;` is what HTML makes of the `&` before it."""
    whole = unicodedata.normalize("NFKC", name).casefold().removeprefix("amp;")
    return "".join(sign for sign in whole if sign.isalnum())


def _distance(word: str, other: str) -> int:
    """Return how many letters must be added, removed or changed to turn one word into the other."""
    if abs(len(word) - len(other)) > _NEAR:
        return _NEAR + 1
    above = list(range(len(other) + 1))
    for row, letter in enumerate(word[:_NAME_LETTERS], 1):
        line = [row]
        for column, against in enumerate(other, 1):
            line.append(min(above[column] + 1, line[-1] + 1, above[column - 1] + (letter != against)))
        above = line
    return above[-1]


_BY_PLAIN_NAME = {_plain(name): name for name in KNOWN}
