"""The launcher: the first program of an algorithm's container, which gives it a home and becomes the image's own.

One static program of a few KB (launcher.c, which says what it does), mounted read-only into every algorithm's
container. It needs nothing of the image, runs as the algorithm's own user, and has no right that the image's program
does not have.
"""

from pathlib import Path
from typing import Final

PROGRAM: Final = Path(__file__).parent / "launcher"
