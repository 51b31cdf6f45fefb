"""`python -m evaluation`: the same as `rexg score`."""

import sys

from evaluation.command.cli import main
from evaluation.rexg import as_process

if __name__ == "__main__":
    sys.exit(as_process(main))
