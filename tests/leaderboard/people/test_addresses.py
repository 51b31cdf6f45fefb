"""Whose an address is: before it is confirmed, one that somebody merely added means nothing."""

import pytest
from allauth.account.models import EmailAddress

from leaderboard.people import addresses
from tests.leaderboard import cast

pytestmark = pytest.mark.django_db


@pytest.fixture
def mallory():
    """Has added an address that is not hers."""
    person = cast.person("Mallory")
    EmailAddress.objects.create(user=person, email="rival@example.org", verified=False)
    return person


def test_an_address_belongs_to_who_has_it_as_the_main_one_or_confirmed_it(mallory):
    EmailAddress.objects.create(user=mallory, email="second@example.org", verified=True)
    assert addresses.owns(mallory, mallory.email.upper())
    assert addresses.owns(mallory, " Second@example.org")
    assert not addresses.owns(mallory, "rival@example.org")
    assert not addresses.owns(mallory, "")


def test_an_address_that_somebody_merely_added_is_free_for_its_owner(mallory):
    addresses.let_go_of_strangers("Rival@example.org")
    assert not EmailAddress.objects.filter(email="rival@example.org").exists()
    addresses.let_go_of_strangers(mallory.email)
    assert EmailAddress.objects.filter(user=mallory, email=mallory.email).exists()


def test_an_address_that_was_confirmed_is_not_let_go(mallory):
    EmailAddress.objects.filter(email="rival@example.org").update(verified=True)
    addresses.let_go_of_strangers("rival@example.org")
    assert addresses.owns(mallory, "rival@example.org")
