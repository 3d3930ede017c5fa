"""Finding the event that a payload describes without a reference: from clues to a query, from its rows to a match.

Imports `payload`, `alerts` and `errors`. Nothing here makes a call: the query is text, the rows are passed in.
"""
