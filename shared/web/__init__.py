"""HTTP: the answers with status and headers, the parameters of a URL, the OpenAPI document.

It imports the ledger, the clients, `search`, `mapping` and `alerts` for what they hold, the errors and the log.
"""
