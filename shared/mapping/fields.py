"""One event's fields: from the source's places, the scan, the request's parameters and the defaults; then checked."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from shared.alerts import alert, title, vocabulary
from shared.alerts.placeholder import unfilled
from shared.errors import Problem
from shared.mapping import defaults, exactness, places, references
from shared.mapping.event import Event
from shared.mapping.exactness import Exactness
from shared.mapping.source import Place, Source
from shared.payload import candidates, grouping, names
from shared.payload.paths import Node, shown
from shared.payload.scan import Scan
from shared.payload.values import texts as texts_of

_MAX_FOOTER = 1_000  # UTF-16 units of the description
_JOINED = {"category": ", ", "description": "\n", "recommendedAction": "\n"}  # of several texts at one place
_MAX_TAGS = 50
_PARAMETER = "the request's parameter"

Candidate = tuple[str, str]  # a text, and where it came from


class Draft:
    """The values of one event's fields. `origins` names the place or the parameter each came from.

    `is_one_event`: no values differ. `has_no_event`: a rule says that Defender has no event of it.
    `remedy`: how its source would name the event, if it does not; known once it is `checked`.
    """

    def __init__(
        self,
        source: Source,
        event: Event,
        document: Node,
        *,
        lookalikes: Callable[[], Scan],
        given: Mapping[str, str],
        envelopes: Sequence[tuple[Source, Node]] = (),
    ) -> None:
        self._source = source
        self._event = event
        self._document = document
        self._lookalikes = lookalikes
        self.envelopes = envelopes
        self._group = event.group or grouping.Group()
        self._row = defaults.Row(self._group, event.alert)
        self._values: dict[str, object] = {}
        self.origins: dict[str, str] = {}
        self._notes: list[str] = []
        self._problems: list[Problem] = list(event.problems)
        self.is_one_event = all(problem.field != "payload" for problem in event.problems)
        self._footer: list[str] = []
        self._truncated = self.has_no_event = False
        self._reference()
        for name in alert.FIELDS[3:]:
            if not self._take(name, self.candidates(name)) and not self._given(name, given.get(name)):
                self._default(name)

    def slips(self) -> list[str]:
        """Return a note for each field whose places in the source's file found nothing in this payload, title first."""
        names_ = sorted(self._source.fields, key=lambda name: name != "title")
        return [
            f"{name}: nothing was found at {', '.join(place.text for place in self._source.fields[name])}"
            f" (fields of {self._source.name})"
            for name in names_
            if not any(True for place in self._source.fields[name] for _ in self._texts(place))
        ]

    @property
    def exactness(self) -> Exactness:
        """Which of the three keys are exact."""
        return exactness.of(self._values)

    @property
    def complete(self) -> bool:
        """Say whether all three keys of a reference are there."""
        return all(name in self._values for name in names.KEYS) and not self._problems

    def checked(self, now: float | None = None) -> alert.Checked:
        """Return the alert, or everything that keeps the event from being one, and the notes of both."""
        refused = list(self._refused())
        self._problems[:0] = refused
        self.has_no_event = bool(refused)
        lacks = not refused and any(key not in self._values for key in names.KEYS)
        self.remedy = self._source.remedy if lacks else ""
        self._describe()
        checked = alert.check(self._values, now)
        reported = {problem.field for problem in self._problems}
        new = (self._located(problem) for problem in checked.problems if problem.field not in reported)
        problems = [*self._problems, *new]
        return replace(
            checked,
            alert=None if problems else checked.alert,
            problems=tuple(problems),
            notes=tuple(dict.fromkeys((*self._notes, *checked.notes))),
            time_truncated=self._truncated or checked.time_truncated,
        )

    def _reference(self) -> None:
        """Take the three keys: the function's own, the scan's, then those at the source's places."""
        taken = references.taken(self._event, self._group)
        for name, finding in taken.findings.items():
            self._values[name], self.origins[name] = finding.value, shown(finding.place)
        self._notes += taken.notes
        self._problems += [Problem(name, text) for name, text in taken.differ.items()]
        self.is_one_event &= not taken.differ
        for name in names.KEYS:
            if name in self._values or name in taken.differ:
                continue
            for place in self._source.fields.get(name, ()):
                if texts := dict.fromkeys(self._texts(place)):
                    self._take_key(name, place, list(texts))
                    break
            else:
                if node := self._event.values.get(name):
                    self._take_key(name, None, [(text, shown(node.place)) for text in texts_of(node.value)])

    def _take_key(self, name: str, place: Place | None, texts: list[Candidate]) -> None:
        different = list(dict(texts))
        if len(different) > 1:
            listed = ", ".join(map(alert.shown, different[:5]))
            self._problems.append(Problem(name, f"has {len(different)} different values, not one: {listed}."))
            self.is_one_event = False
        elif different:
            self._values[name], self.origins[name] = texts[0]
            note = place.note if place else self._event.notes.get(name)
            if note and (not place or references.is_short(different[0])):
                self._notes.append(f"{name}: {note}")
                self._truncated |= name == "eventTime" and references.is_short(different[0])

    def candidates(self, name: str) -> Iterator[tuple[Candidate, Place | None]]:
        """Yield the texts of a field: at the source's places, the function's, the scan's, the envelopes'."""
        for place in self._source.fields.get(name, ()):
            texts = list(self._texts(place))
            if name in _JOINED and len(texts) > 1:
                texts = [(_JOINED[name].join(dict.fromkeys(text for text, _ in texts)), texts[0][1])]
            yield from ((candidate, place) for candidate in texts)
        if node := self._event.values.get(name):
            yield from (((text, shown(node.place)), None) for text in texts_of(node.value))
        scanned = sorted(self._group.texts.get(name, ()), key=grouping.order)
        if name == "category":
            scanned += [
                each
                for tag in self._group.texts.get("tag", ())[:_MAX_TAGS]
                for each in candidates.attack(tag)
            ]
        yield from (((text, shown(at)), None) for _, _, text, at in scanned)
        for envelope, around in self.envelopes:
            for place in envelope.fields.get(name, ()):
                yield from ((candidate, place) for candidate in self._texts(place, around))

    def _texts(self, place: Place, alert_node: Node | None = None) -> Iterator[Candidate]:
        """Yield the texts at a place of a source file, each with where it stood."""
        for text, at in places.texts(place, self._document, alert_node or self._event.alert):
            yield text, ", ".join(map(shown, at))

    def _take(self, name: str, options: Iterable[tuple[Candidate, Place | None]]) -> bool:
        """Take the first text that is not empty; of severities and categories the first known word."""
        vague: tuple[str, str, vocabulary.Word] | None = None
        unknown: list[str] = []
        for (text, origin), place in options:
            silent = candidates.says_nothing(text) or (name == "title" and candidates.is_id(text))
            if not self._source.exact and (silent or self._is_unfilled(name, text)):
                continue
            if name not in ("severity", "category"):
                self._set(name, text, origin)
                return True
            try:
                word = self._word(name, text, place)
            except ValueError as reason:
                if self._source.exact:
                    self._values[name], self.origins[name] = text, origin
                    return True
                unknown.append(f"{name}: {alert.shown(text)} {reason}")
                continue
            if word.text == vocabulary.NO_EQUAL and word.changed:
                vague = vague or (text, origin, word)
                continue
            self._notes += [note for note in unknown if name == "severity"][:3]
            self._translated(name, word, origin)
            return True
        self._notes += [note for note in dict.fromkeys(unknown) if name == "severity"][:3]
        if vague:
            self._translated(name, vague[2], vague[1])
        return vague is not None

    def _word(self, name: str, text: str, place: Place | None) -> vocabulary.Word:
        """Return Defender's word for a text. Raises `ValueError` with why there is none."""
        if name == "category":
            return vocabulary.category([text])
        if place and (word := place.words.get(names.word(text))):
            return vocabulary.Word(word, text, changed=True)
        return vocabulary.severity(text, place.scale if place else None)

    def _is_unfilled(self, name: str, text: str) -> bool:
        placeholder = unfilled(text)
        if placeholder:
            note = f"{name}: the template {alert.shown(placeholder)} was not filled by its sender"
            self._notes += [] if note in self._notes else [note]
        return placeholder is not None

    def _given(self, name: str, value: str | None) -> bool:
        """Take a field from the request's parameters; an unknown word stays, and the check reports it."""
        if value is None or not value.strip():
            return False
        try:
            if name in ("severity", "category"):
                self._translated(name, self._word(name, value, None), _PARAMETER)
                return True
        except ValueError:
            pass
        self._values[name], self.origins[name] = value, _PARAMETER
        return True

    def _default(self, name: str) -> None:
        value = None if self._source.exact else self._row.default(name, self._values)
        if value is not None:
            self._values[name], self.origins[name] = value, "the default"
            if name in ("severity", "category"):
                self._notes.append(f"{name}: the payload has none, so it is {value}")

    def _set(self, name: str, text: str, origin: str) -> None:
        if name == "title" and not self._source.exact:
            tidy = title.tidy(text)
            if tidy != text.strip():
                self._notes.append(
                    f"title: {alert.shown(text)} became {alert.shown(tidy)}, so that equal alerts merge"
                )
            text = tidy
        self._values[name], self.origins[name] = text, origin

    def _translated(self, name: str, word: vocabulary.Word, origin: str) -> None:
        self._values[name], self.origins[name] = word.text, origin
        if word.note:
            self._notes.append(f"{name}: {word.note}")
        if word.changed:
            self._footer.append(f"{name.capitalize()} at the source: {word.source}")

    def _refused(self) -> Iterator[Problem]:
        """Yield why the event is refused apart from its values: by the source's rules, or by its table."""
        covered = set()
        for rule in self._source.refuse:
            if rule.holds(self._document, self._event.alert):
                covered.add(rule.about)
                yield Problem(rule.about, rule.text)
        for problem in references.refused(self._row):
            if problem.field not in covered:
                yield problem

    def _describe(self) -> None:
        """Add the source's own words, the time and place of the event, and links to the description."""
        if (several := self._row.devices()) and not self._source.exact:
            listed = ", ".join(map(alert.shown, several[:3]))
            self._notes.append(
                f"description: the device names {listed} are equally near to the event, so none is used"
            )
        description = self._values.get("description")
        lines = list(self._footer_lines())
        self._footer += self._event_line(lines) + lines
        if not (isinstance(description, str) and self._footer):
            return
        footer = alert.cut("\n".join(self._footer), _MAX_FOOTER)
        left = alert.MAX_LENGTHS["description"] - alert.units(footer) - 2
        text = description.strip()
        if alert.units(text) > left:
            self._notes.append(f"description: cut from {alert.units(text):,} to {left:,} characters")
        self._values["description"] = f"{alert.cut(text, left)}\n\n{footer}"

    def _footer_lines(self) -> Iterator[str]:
        for label, where in self._source.footer.items():
            if line := next((text for place in where for text, _ in self._texts(place)), None):
                yield f"{label}: {line[:_MAX_FOOTER]}"
        if (
            not self._source.footer
            and (link := candidates.best("link", self._group.texts.get("link", ())))
            and not self._source.exact
        ):
            yield f"Back to the source: {link[0]}"

    def _event_line(self, footer: Sequence[str]) -> list[str]:
        """Return a line with the event's time and place, unless the description has them already."""
        time, machine = (self._values.get(name) for name in ("eventTime", "machineId"))
        said = "\n".join([str(self._values.get("description")), *footer])
        if self._source.exact or not isinstance(time, str) or time in said:
            return []
        return [f"Event: {time} on {self._row.device() or machine}"]

    def _located(self, problem: Problem) -> Problem:
        """Add to a problem what was found instead, and where this product could send the field."""
        sentences = [problem.detail]
        if problem.field not in self._values:
            sentences += [
                f"Found instead: {lookalike}." for lookalike in self._lookalikes().unlike(problem.field)
            ]
        if where := self._source.missing.get(problem.field):
            sentences.append(where)
        return replace(problem, detail=" ".join(sentences))
