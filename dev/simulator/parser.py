"""Microsoft's own parser of KQL, in a Node process that stays for the queries to come."""

import json
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from dev import setup


@dataclass(frozen=True, slots=True)
class Checked:
    """What a query is made of: it is sound if `errors` is empty. `texts` are its literals, `shape` all the rest.

    `more` is what the parser's second script says of it.
    """

    errors: tuple[str, ...]
    lets: int
    statements: int
    tables: frozenset[str]
    columns: tuple[str, ...]
    texts: tuple[str, ...]
    shape: str
    more: Mapping[str, Any]


class Parser:
    """Reads queries against tables, by name with their columns as KQL lists them. Thread-safe; started when needed."""

    def __init__(self, tables: Mapping[str, str], script: Path | None = None) -> None:
        self._tables = tables
        self._script = script
        self._lock = threading.Lock()
        self._node: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        if self._node:
            self._node.communicate()

    def check(self, query: str) -> Checked:
        """Return what a query is made of."""
        with self._lock:
            answer = json.loads(self._ask(query))
        names = ("errors", "lets", "statements", "tables", "columns", "texts", "shape")
        errors, lets, statements, tables, columns, texts, shape = map(answer.pop, names)
        return Checked(
            tuple(errors), lets, statements, frozenset(tables), tuple(columns), tuple(texts), shape, answer
        )

    def _ask(self, query: str) -> str:
        lines: list[object] = [query]
        if self._node is None:
            lines.insert(0, self._tables)
            script = [self._script] if self._script else []
            self._node = subprocess.Popen(
                [setup.NODE.resolve(), Path(__file__).with_suffix(".js"), setup.AZURITE, *script],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                encoding="utf-8",
            )
        if not (self._node.stdin and self._node.stdout):
            raise RuntimeError("the parser has no pipes")
        self._node.stdin.writelines(json.dumps(line) + "\n" for line in lines)
        self._node.stdin.flush()
        return self._node.stdout.readline()


def check(tables: Mapping[str, str], queries: Sequence[str], script: Path | None = None) -> list[Checked]:
    """Read queries at once; return what each is made of, in their order."""
    with Parser(tables, script) as parser:
        return [parser.check(query) for query in queries]
