"""Advanced hunting on this machine: Microsoft's parser reads a query, and DuckDB runs it on made tables.

hunting.check([query.text])[0].errors   # ()
hunting.run(Tenant(records), query)   # rows, as the call to Graph gives them
"""

from collections.abc import Sequence
from datetime import datetime

from dev.simulator import parser
from dev.simulator.parser import Checked
from dev.simulator.tenant import TABLES, Record, Tenant
from shared.search.query import Query

__all__ = ["Checked", "Record", "Tenant", "check", "run"]


def check(queries: Sequence[str]) -> list[Checked]:
    """Read queries with Microsoft's parser; return what each is made of, in their order."""
    return parser.check(TABLES, queries)


def run(tenant: Tenant, query: Query) -> list[dict[str, str]]:
    """Return the rows of a query, text by column, without what is null."""
    since, until = (datetime.fromisoformat(each) for each in query.timespan.split("/"))
    answer = tenant.run(query.text, since, until)
    return [{name: str(value) for name, value in row.items() if value is not None} for row in answer.rows]
