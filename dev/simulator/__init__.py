"""Microsoft Defender for Endpoint on this machine, with the rate limit, the faults and a log of every call.

May import `dev.stack`, for the server on loopback and the token endpoint, and `dev.setup`, for Node.js and the parser
of KQL. A strict judge shares no code with the app.
"""
