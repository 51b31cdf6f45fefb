"""What all packages need: clock, locks, files by digest, text, disk space, events, task queue, process heartbeats, audit.

May import `models` and `states`; knows nothing of what a submission goes through.
"""
