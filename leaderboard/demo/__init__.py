"""The demonstration, and the synthetic cases that it and the tests run on.

May import everything but `web` and `processes`.
"""
