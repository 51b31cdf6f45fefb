"""The worker of a GPU host: claims batches, runs each in the sandbox, reports, and keeps its promises after a kill.

May import everything else of `containers`; nothing imports it but `containers.__main__` (and the server's Celery app,
for the one setting that both share).
"""
