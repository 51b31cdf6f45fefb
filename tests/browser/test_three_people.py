"""A whole story at the real site: Alice captains, Bob is her team-mate, Charlie a rival who gets nothing of theirs.

Mail goes by a real mail server, live progress by the process for streams, and what a GPU host reports is what one would.
"""

import re
import tarfile
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from django.test import Client
from playwright.sync_api import Page, expect

from leaderboard.core import events
from leaderboard.journey import pipeline
from leaderboard.models import ApiToken, Membership, OutgoingMail, Submission, Team, User
from leaderboard.notices import runs
from leaderboard.states import SubmissionState
from tests.browser.conftest import PHONE, Visitor
from tests.leaderboard import cast, gpu_host, masks
from tests.mail_server import text_of

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.xdist_group("site"),
]

PASSWORD = "a long enough secret"
ALICE, BOB, CHARLIE = (f"{name}@example.org" for name in ("alice", "bob", "charlie"))
THEIRS = ("Alice", "Bob", "alice@", "bob@", "the blue one", "image.tar", "LungText", "a script of hers")


def test_alice_captains_bob_joins_and_charlie_gets_nothing(visit, site, mails, tmp_path):
    print(site.port)
