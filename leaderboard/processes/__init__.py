"""Where the server is entered other than by its pages.

    host_api                         the addresses that GPU hosts call
    sweeper                          derives from the rows what should be happening, and puts it right
    tasks                            the Celery tasks of the control and scoring workers

May import `operations` and below.
"""
