"""The tests' database between two tests: nothing that was committed stays, and what Django made does."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test import TransactionTestCase

from leaderboard.core import audit
from leaderboard.models import AuditEntry, User
from tests import databases
from tests.leaderboard import cast
