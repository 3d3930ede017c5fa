"""The eight fields of an alert: what they may be, in which words, and every problem at once.

Imports nothing of ours but `errors`.
"""
