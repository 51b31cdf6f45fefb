"""Scoring in a child process with limits, so that no prediction file can hurt more than its own case.

May import `evaluation.metrics` and everything below it.
"""
