"""The services that are called, and what each of their answers means.

It imports the errors and the loopback: a call knows nothing of what it is made for.
"""
