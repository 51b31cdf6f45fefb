"""A whole challenge in compressed time: the clock that tests set forward, official files, workers, hosts and people.

The server is the real one, in the test's own process: its pages and its API, its commands, its sweeper and its tasks on
the real database, with the messages that the real broker holds. Only containers are not: what a program would write is
computed from what its image says.
"""
