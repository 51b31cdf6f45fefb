"""What every room needs: clock, locks, files by digest, text, disk space, events, task queue, process heartbeats, logs.

May import `models` and `states`; knows nothing of what a submission goes through.
"""
