"""From a waiting alert to its outcome: the rolling window, the pause and the dispatcher.

It imports the ledger, the table, the clients, the errors and the log.
"""
