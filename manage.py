#!/usr/bin/env python
"""Django's command line for the challenge server."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    try:
        "".join(sys.argv).encode()  # the door by which an operator's words come in
    except UnicodeEncodeError:
        sys.exit("manage.py: an argument is not written in UTF-8.")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leaderboard.settings")
    execute_from_command_line(sys.argv)
