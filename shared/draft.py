"""One event's fields: found where its mapping says, filled from the request's parameters, checked."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from shared import alert, shapes, vocabulary
from shared.expression import Evaluation
from shared.mapping_file import Candidate, Source
from shared.payload import Number
from shared.problems import Problem

_MAX_FOOTER = 1_000  # UTF-16 units of the description


class Draft:
    """The values of one event's fields. `origins` names the expression or parameter each came from."""

    def __init__(
        self, source: Source, event: Any, evaluation: Evaluation, defaults: Mapping[str, str]
    ) -> None:
        self._source = source
        self._event = event
        self._evaluation = evaluation
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
                self._set(name, defaults[name], "the request's parameter")
            elif self._take(name, source.otherwise.get(name, ())) and name in ("severity", "category"):
                self._notes.append(f"{name}: the payload names none, so {self._values[name]}")

    def checked(self) -> alert.Checked:
        """Return the alert, or everything that keeps the event from being one, and the notes of both."""
        rules = [rule for rule in self._source.refuse if self._evaluation.holds(rule.when, self._event)]
        self._problems[:0] = [Problem(rule.field, rule.text) for rule in rules]
        self._describe()
        checked = alert.check(self._values)
        told = {problem.field for problem in self._problems}
        found = [*self._problems, *(self._located(one) for one in checked.problems if one.field not in told)]
        if self._source.remedy and not rules and any(key not in self._values for key in shapes.KEYS):
            found.append(Problem("remedy", self._source.remedy))
        return alert.Checked(
            None if found else checked.alert,
            tuple(found),
            tuple(dict.fromkeys((*self._notes, *checked.notes))),
            self._truncated or checked.time_truncated,
        )

    def _take(self, name: str, candidates: Sequence[Candidate]) -> bool:
        for candidate in candidates:
            value = shapes.single(self._evaluation.value(candidate.expression, self._event))
            if shapes.empty(value) or (name == "severity" and not self._severe(value, candidate.scale)):
                continue
            self._set(name, value, candidate.expression.text, candidate.scale)
            self._truncated |= candidate.truncated
            if candidate.note:
                self._notes.append(f"{name}: {candidate.note}")
            return True
        return False

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
        self.origins[name] = origin
        self._values[name] = value
        if name in ("severity", "category"):
            self._translate(name, value, scale)

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
        """Add to the description what the source's own words were, and the way back to it."""
        description = self._values.get("description")
        lines = (self._evaluation.value(line, self._event) for line in self._source.footer)
        self._footer += [text for text in (shapes.text(line, _MAX_FOOTER) for line in lines) if text]
        if not isinstance(description, str) or not self._footer:
            return
        footer = alert.cut("\n".join(self._footer), _MAX_FOOTER)
        room = alert.MAX_LENGTHS["description"] - alert.units(footer) - 2
        text = description.strip()
        if alert.units(text) > room:
            self._notes.append(f"description: cut from {alert.units(text):,} to {room:,} characters")
        self._values["description"] = f"{alert.cut(text, room)}\n\n{footer}"

    def _located(self, problem: Problem) -> Problem:
        where = self._source.missing.get(problem.field)
        return replace(problem, detail=f"{problem.detail} {where}") if where else problem
