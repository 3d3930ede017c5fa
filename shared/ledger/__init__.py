"""What was accepted and refused, and what became of it: entries, their rows and keys, and how long they stay.

May import: `table`, `clients`, `alerts`.
"""
