"""Finding the event that a payload describes without a reference: from clues to a query, from its rows to a match.

May import: `payload`, `alerts`. Nothing here makes a call: the query is text, the rows are passed in.
"""
