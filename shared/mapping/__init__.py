"""Payload to alerts: the sources' files, the paths they name, and the fields made of both.

Imports `payload`, `alerts` and `errors`.
"""
