"""HTTP: the answers with status and headers, the parameters of a URL, the OpenAPI document.

May import: `sending`, `ledger`, `table`, `clients`, `search`, `mapping`, `payload`, `alerts`.
"""
