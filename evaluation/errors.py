"""What can go wrong, in words fit for the person who reads them."""


class EvaluationError(Exception):
    """The evaluation cannot be done: the reference, the dataset file, the arguments or the machine are unusable."""


class InvalidMask(EvaluationError):
    """A mask file cannot be read as what it should be; the message says what to change in it."""
