"""What the operator sees and does: lists, status, replay, discard, pause and resume.

It imports all packages; only `app` and the function folders import it.
"""
