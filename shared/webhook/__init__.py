"""The use cases of the webhook: receive, map and accept a payload, answer its status, dispatch, health.

May import: `settings`, `web`, `sending`, `entity`, `search`, `ledger`, `table`, `clients`, `mapping`, `payload`,
`alerts`.
"""
