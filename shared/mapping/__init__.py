"""From payload to alerts: the sources' files, their paths and conditions, and an alert's fields.

May import: `payload`, `alerts`.
"""
