"""From a waiting alert to its outcome: the rolling window, the pause and the dispatcher.

May import: `ledger`, `table`, `clients`, `entity`, `search`, `payload`, `alerts`.
"""
