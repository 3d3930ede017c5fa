"""The services that are called, and what each of their answers means.

It imports `alerts`, the errors and the log.
"""
