"""The operator's requests: lists, status, replay, discard, pause and resume.

May import: `identity`, `webhook`, `web`, `sending`, `ledger`, `table`, `clients`, `search`, `mapping`,
`payload`, `alerts`.
Only `app` and the function folders import it.
"""
