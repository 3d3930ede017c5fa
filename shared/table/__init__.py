"""The table: its protocol, Azure Table Storage behind it, and the patience with which it is asked.

It imports the errors, and nothing else of ours.
"""
