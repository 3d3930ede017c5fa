"""From payload to alerts: the sources' files, their paths and conditions, and an alert's fields.

Imports `payload`, `alerts` and `errors`.
"""
