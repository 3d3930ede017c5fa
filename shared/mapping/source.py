"""A source: what its mapping file says, read and checked (`mapping_file.py` tells what each entry means)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from shared.mapping.expression import Expression


@dataclass(frozen=True, slots=True)
class Candidate:
    """One place where a field's value may stand."""

    expression: Expression
    scale: str | None = None
    truncated: bool = False
    note: str | None = None
    at: Expression | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition, and what to say if it holds."""

    when: Expression
    text: str
    field: str = "payload"
    reply: Expression | None = None
    found: Expression | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """One mapping file. `ours` is false for a file of the user's own."""

    name: str
    title: str
    ours: bool = True
    extends: str | None = None
    priority: int = 50
    when: Expression | None = None
    unwrap: Expression | None = None
    refusal: int | None = None
    exact: bool = False
    events: Expression | None = None
    ignore: tuple[Rule, ...] = ()
    skip: tuple[Rule, ...] = ()
    refuse: tuple[Rule, ...] = ()
    fields: Mapping[str, tuple[Candidate, ...]] = field(default_factory=dict)
    otherwise: Mapping[str, tuple[Candidate, ...]] = field(default_factory=dict)
    footer: tuple[Expression, ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict)
    remedy: str = ""

    def expressions(self) -> Iterable[Expression]:
        """Return every expression of the file, with those it extends."""
        yield from filter(None, (self.when, self.unwrap, self.events, *self.footer))
        for rule in (*self.ignore, *self.skip, *self.refuse):
            yield from filter(None, (rule.when, rule.reply, rule.found))
        for candidates in (*self.fields.values(), *self.otherwise.values()):
            for candidate in candidates:
                yield from filter(None, (candidate.expression, candidate.at))
