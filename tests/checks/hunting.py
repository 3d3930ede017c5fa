"""Advanced hunting on this machine: Microsoft's parser reads a query, and DuckDB runs it on made tables.

hunting.check([query.text])[0].errors   # ()
hunting.run(Tenant(records), query)   # rows, as the call to Graph gives them
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

from dev.simulator.parser import Parser
from dev.simulator.schema import TABLES, Record
from dev.simulator.tenant import Tenant
from shared.search.query import Query

__all__ = ["Record", "Tenant", "check", "clear", "run"]


@dataclass(frozen=True, slots=True)
class Checked:
    """What a query is made of: it is sound if `errors` is empty. `texts` are its literals, `shape` all the rest."""

    errors: tuple[str, ...]
    lets: int
    statements: int
    tables: frozenset[str]
    columns: tuple[str, ...]
    texts: tuple[str, ...]
    shape: str


def check(queries: Sequence[str]) -> list[Checked]:
    """Read queries with Microsoft's parser; return what each is made of, in their order."""
    with closing(Parser(TABLES)) as parser:
        return [
            Checked(
                tuple(each["errors"]),
                each["lets"],
                each["statements"],
                frozenset(each["tables"]),
                tuple(each["columns"]),
                tuple(each["texts"]),
                each["shape"],
            )
            for each in map(parser.check, queries)
        ]


def clear(tenant: Tenant) -> None:
    """Empty all tables of a tenant."""
    for table in TABLES:
        tenant._connection.execute(f"TRUNCATE All{table}")
    tenant._sevenths.clear()


def run(tenant: Tenant, query: Query) -> list[dict[str, str]]:
    """Return the rows of a query, text by column, without what is null."""
    since, until = (datetime.fromisoformat(each) for each in query.timespan.split("/"))
    answer = tenant.run(query.text, since, until)
    return [{name: str(value) for name, value in row.items() if value is not None} for row in answer.rows]
