"""What every package needs and none of the challenge's fields owns.

    clock, locks                     the database's clock; who is at work on what
    blobs, disk_space, unfinished    files by content digest; whether there is space for more; what is being written
    scratch                          temporary files of workers, which die with them
    database                         the connection that a thread works with
    task_queue, events               messages to workers; news for whoever watches
    outbox, mail_message, refusals   messages to people, by mail; their HTML; addresses that are refused for good
    process_heartbeat, logs          signs of life of the server's processes; how log records are written
    text, refusal, audit             text from strangers; saying no to a person; the record of what people decide
    markdown                         what teams write about their methods, as HTML

May import `models`, `states` and `celery`; knows nothing of what a submission goes through.
"""
