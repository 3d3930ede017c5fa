"""What was accepted and refused, and what became of it: entries, their rows and keys, and how long they stay.

It imports the table, what Defender answers (`clients`), `alerts`, the errors and the log.
"""
