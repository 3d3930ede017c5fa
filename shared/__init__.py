"""The app. Every package may import `errors`, `log`, `loopback` and `senders`; its own docstring names the others."""
