"""The table: its protocol, Azure Table Storage behind it, and repeated requests.

It imports only the errors of ours.
"""
