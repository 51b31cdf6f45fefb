"""A viewer who captains a team, with a draft and an upload under way, changes nothing of it: by no page, method or key.

What somebody did as a captain stays; as a viewer they see it, and the rest of the team goes on.
"""

from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.test import Client

from leaderboard.models import Draft, Phase, ResumableUpload
from leaderboard.people import roles
from leaderboard.submissions import drafts, resumable
from leaderboard.web import tus
from tests.leaderboard import cast

pytestmark = pytest.mark.django_db
WORDS = {"track": "main", "algorithm": "Grounder", "method": cast.METHOD, "external": "none"}
OF_ASKING = {"sessions.Session", "leaderboard.Throttle"}
TUS = {"Tus-Resumable": "1.0.0"}


@pytest.fixture
def viewer(people) -> SimpleNamespace:
    """Alice, who captains a team, was made a viewer with a session, a draft and the key of its upload in hand."""
    cast.phase(slug="dev", runs_per_day=9)
    run = cast.submit_checked(people.team, Phase.objects.get())
    draft = drafts.begin(people.alice, people.team, Phase.objects.get(), WORDS)
    upload = resumable.begin(draft, name="image.tar", length=9, fingerprint="x", part="image")
    browser, key = people.browser["Alice"], tus.key_of(draft, people.alice)
    roles.set_role(people.alice, by=cast.OPERATOR, why="Watches.", role="viewer")
    return SimpleNamespace(browser=browser, run=run, draft=draft, upload=upload, key=key)


def everything() -> dict[str, list[Any]]:
    models = [one for one in apps.get_models(include_auto_created=True) if one._meta.label not in OF_ASKING]
    return {one._meta.label: list(one._default_manager.order_by("pk").values()) for one in models}


def test_of_the_team_nothing_is_changed_by_any_page(viewer, people):
    member = people.team.memberships.get(user=people.bob).pk
    posts = [
        *("/team/edit/", "/team/leave/", "/team/captain/", f"/team/members/{member}/remove/", "/team/invitations/"),
        *(f"/team/members/{member}/captain/", "/team/join/x/", "/submit/dev/", "/drafts/of/dev/"),
        *(f"/drafts/{viewer.draft.pk}/", f"/drafts/{viewer.draft.pk}/send/", f"/drafts/{viewer.draft.pk}/delete/"),
        *(f"/runs/{viewer.run.pk}/{what}/" for what in ("cancel", "withdraw", "bring-back", "note", "again")),
        f"/uploads/drafts/{viewer.draft.pk}/pdf/",
    ]
    before = everything()
    for path in posts:
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            sent = {"data": "name=Other&note=x&sure=on", "content_type": "application/x-www-form-urlencoded"}
            assert viewer.browser.generic(method, path, **sent).status_code == 403, (method, path)
    assert everything() == before


@pytest.mark.parametrize("by_key", [False, True], ids=["signed in", "by the key of the draft"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PATCH", "DELETE"])
def test_an_upload_is_neither_begun_nor_continued_nor_ended(viewer, method, by_key):
    """Also where the method is said in a header, which the page's own guard does not read."""
    browser = Client() if by_key else viewer.browser
    headers = TUS | ({"Authorization": f"Bearer {viewer.key}"} if by_key else {})
    piece: dict[str, Any] = {"data": b"123456789", "content_type": "application/offset+octet-stream"}
    before = everything()
    for path, meant in (
        (f"/uploads/drafts/{viewer.draft.pk}/", "POST"),
        (f"/uploads/{viewer.upload.pk}/", "PATCH"),
        (f"/uploads/{viewer.upload.pk}/", "DELETE"),
    ):
        more = {"Upload-Length": "9", "Upload-Offset": "0", "X-HTTP-Method-Override": meant}
        browser.generic(method, path, headers=headers | more, **piece)
    assert everything() == before
    assert (Draft.objects.count(), ResumableUpload.objects.count()) == (1, 1)


def test_a_method_is_overridden_for_whoever_can_send_post_alone(viewer, people):
    headers = TUS | {"X-HTTP-Method-Override": "DELETE", "Authorization": ""}
    bob = people.browser["Bob"]
    path = f"/uploads/{viewer.upload.pk}/"
    assert bob.get(path, headers=headers).status_code == 405
    assert ResumableUpload.objects.exists()
    assert bob.post(path, headers=headers, data=b"", content_type="application/offset+octet-stream").status_code == 204
