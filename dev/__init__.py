"""What runs on a developer's machine only: the commands of the Makefile, and the packages that they are made of.

May import `shared`; nothing of the app imports `dev`. `samples` holds what the senders post, for all of it.
"""
