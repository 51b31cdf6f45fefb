"""Where the server is entered other than by its pages: the API of the GPU hosts, the sweeper, the Celery tasks.

May import `operations` and below.
"""
