"""The table: its protocol, Azure Table Storage behind it, and repeated requests.

May import: `settings`.
"""
