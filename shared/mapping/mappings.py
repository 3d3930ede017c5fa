"""The sources in use, and what they make of a delivery.

A document goes to the source that the sender named, else to the one of the highest `priority` that recognises it (the
user's own before ours, then by name), else to `generic`.
"""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shared import errors
from shared.alerts import alert
from shared.errors import Problem
from shared.mapping import source as files
from shared.mapping.budget import TooManySteps
from shared.mapping.outcome import Outcome
from shared.mapping.recognition import Recognition
from shared.mapping.run import Run
from shared.mapping.source import Source

_OURS = Path(__file__).parent / "sources"


class Mappings:
    """The sources in use. `broken` lists the user's own files that could not be read."""

    def __init__(self, sources: Mapping[str, Source], broken: Sequence[Problem] = ()) -> None:
        self.sources = dict(sources)
        self.broken = list(broken)
        self.recognition = Recognition(sources.values())

    def names(self) -> tuple[str, ...]:
        """Return the names of the sources, sorted, without envelopes."""
        return tuple(sorted(name for name, source in self.sources.items() if not source.is_envelope))

    def apply(
        self,
        documents: list[Any],
        *,
        source: str | None,
        defaults: Mapping[str, str],
        max_alerts: int,
        now: float | None = None,
        clues: bool = False,
        made: frozenset[str] = frozenset(),
    ) -> Outcome:
        """Turn the documents of a delivery into alerts, refused events, or the reason why it asks for no alert.

        `defaults` are values by the API's names that fill what the payload left empty; `now` is UTC seconds, for notes
        on times that Defender cannot find; `clues` asks for the clues of events without a whole reference. `made` are
        the ids of alerts that this app has made, if the delivery names any. Raises
        `RequestError` for an unknown source, `PayloadTooLarge` for more than `max_alerts` events or too much work.
        """
        named = self._named(source) if source else None
        run = Run(
            self.recognition,
            self.sources["generic"],
            defaults=defaults,
            max_alerts=max_alerts,
            now=now,
            named=named.name if named else None,
            clues=clues,
            made=made,
        )
        if named:
            run.steps[f"the request names {named.name}"] = None
        try:
            for index, document in enumerate(documents):
                run.open(run.node(document, (None, index) if len(documents) > 1 else None), named, ())
        except TooManySteps:
            raise errors.PayloadTooLarge(
                "The body takes too much work to map. Send fewer or smaller events at a time."
            ) from None
        return run.outcome(named)

    def _named(self, name: str) -> Source:
        source = self.sources.get(name.strip().lower())
        if source is None or source.is_envelope:
            near = difflib.get_close_matches(name.strip().lower(), self.names(), 3)
            hint = f" Did you mean {' or '.join(near)}?" if near else ""
            detail = f"{alert.shown(name)} is no source.{hint} Leave the parameter out to have the payload recognised."
            problem = errors.Problem("source", detail)
            raise errors.RequestError(f"source: {detail}", extensions={"problems": [problem.render()]})
        return source


def load(folder: Path | None = None) -> Mappings:
    """Read our sources and the user's own in `folder`, which replace ours of the same name.

    A user's file that cannot be read is reported in `Mappings.broken`, without an error. Raise `ValueError` if one of
    ours is broken.
    """
    sources = {path.stem: files.read(path, ours=True) for path in _files(_OURS)}
    broken: list[Problem] = []
    try:
        theirs = _files(folder) if folder else []
    except OSError as error:
        theirs = []
        broken.append(Problem("MAPPINGS_PATH", f"{folder} cannot be read: {error.strerror}"))
    for path in theirs:
        try:
            sources[path.stem.lower()] = files.read(path, ours=False)
        except (OSError, ValueError, RecursionError) as error:
            broken.append(Problem(path.name, str(error)))
    return Mappings(sources, broken)


def _files(folder: Path) -> list[Path]:
    """Return the source files of a folder; a copy of their schema is none."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() == ".json" and not path.stem.lower().endswith(".schema")
    )
