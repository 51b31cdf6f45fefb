"""The one exception with which the server says no to a person."""


class Refused(Exception):
    """Not now, or not like this. The text is the sentence that the person reads: what is so, and what to do."""
