"""`make demo`: senders post to a local stack, and every answer is compared with Defender's own log.

May import `dev.stack`, `dev.simulator` and `dev.samples`.
"""
