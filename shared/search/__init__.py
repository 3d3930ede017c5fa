"""Finding the event that a payload tells of without naming it: from clues to a query, from its rows to a match.

Imports `payload`, `alerts` and `errors`. Nothing here calls anything: the query is text, the rows are passed in.
"""
