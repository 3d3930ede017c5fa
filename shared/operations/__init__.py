"""The operator's requests: lists, status, replay, discard, pause and resume.

It imports all packages; only `app` and the function folders import it.
"""
