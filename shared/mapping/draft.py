"""One event's fields: found where its mapping says, filled from the request's parameters, checked."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from shared.alerts import alert, title, vocabulary
from shared.mapping.expression import Evaluation
from shared.mapping.source import Candidate, Source
from shared.payload import grouping, hunting, names, shapes
from shared.payload.body import Number
from shared.payload.scan import Seen
from shared.problems import Problem

_MAX_FOOTER = 1_000  # UTF-16 units of the description
_MAX_NAME = 255
_PARAMETER = "the request's parameter"


class Draft:
    """The values of one event's fields. `origins` names the expression, place or parameter each came from.

    `place` is where keys are looked for that the mapping does not find: the document, if it has this one event.
    `seen` is what was seen there, if that is known.
    """

    def __init__(  # noqa: PLR0917 - made in one place
        self,
        source: Source,
        event: Any,
        evaluation: Evaluation,
        defaults: Mapping[str, str],
        place: Any,
        seen: Seen | None = None,
    ) -> None:
        self._source = source
        self._event = event
        self._evaluation = evaluation
        self._defaults = defaults
        self._values: dict[str, object] = {}
        self.origins: dict[str, str] = {}
        self._notes: list[str] = []
        self._problems: list[Problem] = []
        self._footer: list[str] = []
        self._truncated = False
        for name in alert.FIELDS:
            if self._take(name, source.fields.get(name, ())):
                continue
            if not shapes.empty(defaults.get(name)):
                self._set(name, defaults[name], _PARAMETER)
            elif self._take(name, source.otherwise.get(name, ())) and name in ("severity", "category"):
                self._notes.append(f"{name}: the payload names none, so {self._values[name]}")
        self._seen = seen or (None if self._whole() else evaluation.look(place))
        if self._seen and len(self._seen.events) == 1:
            self._take_exact(self._seen.events[0]["found"])
            self._take_seen(self._seen.events[0]["found"], self._seen.around)

    def apart(self) -> "list[Draft]":
        """Return a draft for each event that was seen, if there are several and the mapping knew none of them."""
        if "reportId" in self._values or not self._seen or len(self._seen.events) < 2:  # noqa: PLR2004  # several
            return [self]
        row = self._event if isinstance(self._event, dict) else {}
        return [
            Draft(
                self._source,
                one | {name: value for name, value in row.items() if not shapes.empty(value)},
                self._evaluation,
                self._defaults,
                None,
                replace(self._seen, events=[one]),
            )
            for one in self._seen.events
        ]

    def checked(self) -> alert.Checked:
        """Return the alert, or everything that keeps the event from being one, and the notes of both."""
        refused = list(self._refused())
        self._problems[:0] = refused
        told = {problem.field for problem in self._problems}
        self._problems += [one for one in self._contradicted() if one.field not in told]
        self._describe()
        checked = alert.check(self._values)
        told = {problem.field for problem in self._problems}
        found = [*self._problems, *(self._located(one) for one in checked.problems if one.field not in told)]
        if self._source.remedy and not refused and any(key not in self._values for key in shapes.KEYS):
            found.append(Problem("remedy", self._source.remedy))
        return alert.Checked(
            None if found else checked.alert,
            tuple(found),
            tuple(dict.fromkeys((*self._notes, *checked.notes))),
            self._truncated or checked.time_truncated,
        )

    def _refused(self) -> Iterator[Problem]:
        """Yield why the event cannot be raised, whatever its values: by the mapping's rules, or by its table."""
        told = set()
        for rule in self._source.refuse:
            if self._evaluation.holds(rule.when, self._event):
                found = self._evaluation.value(rule.found, self._event) if rule.found else None
                told.add(rule.field)
                yield Problem(rule.field, f"{shapes.text(found, _MAX_FOOTER)} {rule.text}".strip())
        table = hunting.table(self._event)
        reason = hunting.refusal(table) if table else None
        if reason and "reportId" not in told:
            yield Problem("reportId", reason)

    def _contradicted(self) -> Iterator[Problem]:
        """Yield the keys that the event has under several of their names, with different values."""
        for name in (grouping.MACHINE, grouping.REPORT) if isinstance(self._event, dict) else ():
            known = names.of_key(name)[1]
            found = {
                canonical: f"{alert.shown(value)} at {key}"
                for key, value in self._event.items()
                if isinstance(value, str)
                and names.word(key) in known
                and (canonical := alert.canonical(name, value))
            }
            exact = [
                one
                for value, one in found.items()
                if not any(grouping.exact(name, of, value) for of in found)
            ]
            if len(exact) > 1:
                yield Problem(
                    name, f"has different values: {'; '.join(exact)}. Send the one that is the event's."
                )

    def _take(self, name: str, candidates: Sequence[Candidate]) -> bool:
        for candidate in candidates:
            value = shapes.single(self._evaluation.value(candidate.expression, self._event))
            if shapes.empty(value) or (name == "severity" and not self._severe(value, candidate.scale)):
                continue
            if candidate not in self._source.otherwise.get(name, ()) and self._vague(name, value):
                continue
            place = self._evaluation.value(candidate.at, self._event) if candidate.at else None
            origin = place if isinstance(place, str) else candidate.expression.text
            self._set(name, value, origin, candidate.scale)
            self._truncated |= candidate.truncated
            if candidate.note:
                self._notes.append(f"{name}: {candidate.note}")
            return True
        return False

    def _whole(self) -> bool:
        """Say whether all three keys are there and none can have lost digits."""
        return all(name in self._values for name in shapes.KEYS) and not any(
            grouping.may_be_cut(name, str(self._values[name])) for name in shapes.KEYS
        )

    def _take_exact(self, found: Mapping[str, Any]) -> None:
        """Take the original of a time or report id that lost digits, where the payload carries that event too."""
        have = {name: str(self._values[name]) for name in shapes.KEYS if name in self._values}
        if "reportId" not in found or any(name in found["differ"] for name in have):
            return
        seen = {name: value for name, value in have.items() if name in found}
        if not all(grouping.agree(name, value, found[name]) for name, value in seen.items()):
            return
        for name, value in seen.items():
            if grouping.exact(name, found[name], value):
                self._notes = [note for note in self._notes if not note.startswith(f"{name}: ")]
                self._notes.append(f"{name}: {alert.shown(value)} lost digits, so the exact one was taken")
                self._truncated &= name != "eventTime"
                self._set(name, found[name], found["at"][name])

    def _vague(self, name: str, value: object) -> bool:
        """Say whether a text is none, or what programs write for none: another place may tell more."""
        if self._source.exact or name in shapes.KEYS:
            return False
        return isinstance(value, dict | bool) or (isinstance(value, str) and shapes.says_nothing(value))

    def _take_seen(self, found: Mapping[str, Any], around: Collection[str]) -> None:
        """Take the keys that stand elsewhere, if all that is known of the event agrees.

        `around` are the times of what the event stands in: one that the mapping took is given back.
        """
        differ = found["differ"]
        told = {problem.field for problem in self._problems}
        if names.is_anybodys(found["at"].get("eventTime", "")):
            found = {name: value for name, value in found.items() if name != "eventTime"}
        new = [name for name in shapes.KEYS if name not in self._values and (name in found or name in differ)]
        if not new or not all(
            grouping.agree(name, str(self._values[name]), found[name])
            for name in shapes.KEYS
            if name in self._values and name in found
        ):
            return
        if alert.canonical("eventTime", str(self._values.get("eventTime"))) in around:
            del self._values["eventTime"], self.origins["eventTime"]
        self._problems += [Problem(name, text) for name, text in differ.items() if name not in told]
        for name in new if not differ else ():
            self._set(name, found[name], found["at"][name])

    def _severe(self, value: object, scale: str | None) -> bool:
        """Say whether a value is a severity, or ours to refuse because there is no other place to look."""
        if not isinstance(value, str) or not self._source.otherwise.get("severity"):
            return True
        try:
            vocabulary.severity(value, scale)
        except ValueError as reason:
            self._notes.append(f"severity: {alert.shown(value)} {reason}")
            return False
        return True

    def _set(self, name: str, value: object, origin: str, scale: str | None = None) -> None:
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = Number(value)  # a count or a length, made by a function
        if isinstance(value, list) and all(isinstance(one, str) for one in value) and name != "category":
            if name in (*shapes.KEYS, "severity"):
                shown = ", ".join(map(alert.shown, value[:5]))
                self._problems.append(Problem(name, f"has {len(value)} different values, not one: {shown}."))
            else:
                value = shapes.text(value, alert.MAX_LENGTHS[name])
        if name == "title" and isinstance(value, str) and origin != _PARAMETER and not self._source.exact:
            value = self._tidied(value)
        self.origins[name] = origin
        self._values[name] = value
        if name in ("severity", "category"):
            self._translate(name, value, scale)

    def _tidied(self, text: str) -> str:
        tidy = title.tidy(text)
        if tidy != text.strip():
            self._notes.append(
                f"title: {alert.shown(text)} became {alert.shown(tidy)}, so that equal alerts merge"
            )
        return tidy

    def _translate(self, name: str, value: object, scale: str | None) -> None:
        """Put Defender's word in place of the source's; what we do not know stays, for the check to tell."""
        try:
            if name == "severity" and isinstance(value, str):
                word = vocabulary.severity(value, scale)
            elif name == "category" and isinstance(value, str):
                word = vocabulary.category([value])
            elif name == "category" and isinstance(value, list):
                word = vocabulary.category([one for one in value if isinstance(one, str)])
            else:
                return
        except ValueError:
            return
        self._values[name] = word.text
        if word.note:
            self._notes.append(f"{name}: {word.note}")
        if word.changed:
            self._footer.append(f"{name.capitalize()} at the source: {word.source}")

    def _describe(self) -> None:
        """Add to the description what the source's own words were, when and where it was, and the way back."""
        description = self._values.get("description")
        lines = (self._evaluation.value(line, self._event) for line in self._source.footer)
        texts = [text for text in (shapes.text(line, _MAX_FOOTER) for line in lines) if text]
        self._footer += [*self._event_line(texts), *texts]
        if not isinstance(description, str) or not self._footer:
            return
        footer = alert.cut("\n".join(self._footer), _MAX_FOOTER)
        room = alert.MAX_LENGTHS["description"] - alert.units(footer) - 2
        text = description.strip()
        if alert.units(text) > room:
            self._notes.append(f"description: cut from {alert.units(text):,} to {room:,} characters")
        self._values["description"] = f"{alert.cut(text, room)}\n\n{footer}"

    def _event_line(self, footer: Sequence[str]) -> list[str]:
        """Say when and where the event was, unless the description does already."""
        time, machine = (self._values.get(name) for name in ("eventTime", "machineId"))
        texts = [str(self._values.get("description")), *footer]
        if self._source.exact or not isinstance(time, str) or any(time in text for text in texts):
            return []
        device = shapes.text(shapes.pick(self._event, "DeviceName"), _MAX_NAME) or machine
        return [f"Event: {time} on {device}"]

    def _located(self, problem: Problem) -> Problem:
        """Add to a problem what was found in the field's place, and where this source could carry it."""
        alike = self._seen.lookalikes.get(problem.field, ()) if self._seen else ()
        where = self._source.missing.get(problem.field)
        said = [problem.detail]
        if problem.field not in self._values:
            said += [f"Not it: {one}." for one in alike]
        return replace(problem, detail=" ".join([*said, where] if where else said))
