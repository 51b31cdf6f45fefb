"""What every request of the API passes: tokens and scopes, limits, keys of repeats, tags, refusals as problems."""

import threading
from datetime import timedelta

import pytest
import redis
from django.db import connection, transaction
from django.test import Client

from leaderboard.core import clock, events
from leaderboard.core.refusal import Refused
from leaderboard.models import ApiAnswer, ApiToken, AuditEntry, Draft, Team, User
from leaderboard.people import tokens
from tests.leaderboard import cast
from tests.leaderboard.web.accounts.conftest import confirm_it_is_you
from tests.leaderboard.web.scene import page

pytestmark = pytest.mark.django_db
PROBLEM = "application/problem+json"
WORDS = {"phase": "dev", "algorithm": "Grounder"}


class TestTokens:
    def test_scanners_know_one_and_nobody_reads_it_here(self, people):
        row, text = tokens.issue(people.alice, name="laptop", scopes=["submit", "read", "everything"])
        assert tokens.compose(text.removeprefix("rexg_pat_")[:30]) == text
        assert (len(text), row.scopes) == (45, ["read", "submit"])
        assert text not in str(ApiToken.objects.values().get())
        assert text[9:] not in str(list(AuditEntry.objects.values()))
        assert tokens.find(text, clock.now()) == row

    def test_a_form_that_is_sent_again_makes_no_second_one_of_its_name(self, people):
        tokens.issue(people.alice, name="laptop", scopes=["read"])
        with pytest.raises(Refused, match="You have a token “Laptop” already"):
            tokens.issue(people.alice, name="Laptop", scopes=["read"])
        tokens.issue(people.bob, name="laptop", scopes=["read"])

    def test_a_mistyped_one_asks_the_database_nothing(self, django_assert_num_queries):
        now, text = clock.now(), tokens.compose("0" * 30)
        mistyped = [text[:-1], text + "0", text.upper(), f"{text[:12]}1{text[13:]}", f"{text[:44]}~", "", "rexg_pat_"]
        with django_assert_num_queries(0):
            assert [tokens.find(one, now) for one in mistyped] == [None] * 7

    def test_it_ends_when_it_expires_is_revoked_or_its_person_may_not_sign_in(self, people, api):
        alice = api(people.alice)
        assert alice("GET", "/me").status_code == 200
        ApiToken.objects.update(expires_at=clock.now())
        assert alice("GET", "/me").status_code == 401
        ApiToken.objects.update(expires_at=clock.now() + timedelta(days=1))
        User.objects.filter(pk=people.alice.pk).update(is_active=False)
        assert alice("GET", "/me").status_code == 401
        User.objects.filter(pk=people.alice.pk).update(is_active=True)
        assert alice("GET", "/me").status_code == 200
        people.browser["Alice"].post(f"/account/tokens/{alice.token.pk}/revoke/")
        answer = alice("GET", "/me")
        assert (answer.status_code, answer["WWW-Authenticate"]) == (401, 'Bearer error="invalid_token"')
        assert "revoked" in answer.json()["detail"]

    def test_of_its_use_the_day_is_kept(self, people, api):
        alice = api(people.alice)
        alice.get("/me")
        assert ApiToken.objects.get().last_used_on == clock.now().date()

    def test_it_does_what_its_scopes_say_and_a_session_does_nothing(self, people, api):
        cast.phase(slug="dev")
        reader, sender = api(people.alice, "read"), api(people.alice, "submit")
        refused = reader("POST", "/drafts", WORDS)
        assert (refused.status_code, refused.json()["detail"]) == (
            403,
            "This token may not do that: it was made without “submit”.",
        )
        assert 'scope="submit"' in refused["WWW-Authenticate"]
        assert sender("GET", "/me").status_code == 403
        assert sender("POST", "/drafts", WORDS).status_code == 201
        assert people.browser["Alice"].get("/api/v1/me").status_code == 401
        assert people.browser["Alice"].post("/api/v1/drafts", WORDS, content_type="application/json").status_code == 401
        assert api()("GET", "/phases").status_code == 200
        assert Client().get("/api/v1/phases", headers={"Authorization": "Bearer nothing"}).status_code == 401


class TestTokenPage:
    def test_it_shows_a_new_token_once(self, people):
        browser = people.browser["Alice"]
        asked = browser.post("/account/tokens/", {"name": "laptop <b>", "scopes": ["read", "team"], "days": "30"})
        assert (asked.status_code, ApiToken.objects.count()) == (302, 0)
        made = browser.post(asked["Location"], {"password": "correct horse"})
        [field] = page(made).all("input", id="new-token")
        token = tokens.find(str(field["value"]), clock.now())
        assert token is not None
        assert (token.expires_at is not None, token.scopes) == (True, ["read", "team"])
        again = browser.get("/account/tokens/").content.decode()
        assert "laptop &lt;b&gt;" in again
        assert str(field["value"]) not in again
        assert made["Cache-Control"] == "private, no-store"
        assert [one.action for one in AuditEntry.objects.filter(user_id=people.alice.pk)[:1]] == ["make token"]

    def test_it_says_what_is_missing(self, people):
        confirm_it_is_you(people.browser["Alice"])
        answer = people.browser["Alice"].post("/account/tokens/", {"name": ""})
        assert answer.status_code == 422
        assert "Choose what the token may do." in page(answer).text
        assert not ApiToken.objects.exists()

    def test_nobody_revokes_another_s_and_nobody_has_too_many(self, people, monkeypatch):
        monkeypatch.setattr(tokens, "MOST_OF_ONE", 1)
        row, _ = tokens.issue(people.alice, name="laptop", scopes=["read"])
        people.browser["Charlie"].post(f"/account/tokens/{row.pk}/revoke/")
        assert ApiToken.objects.filter(pk=row.pk).exists()
        confirm_it_is_you(people.browser["Alice"])
        answer = people.browser["Alice"].post("/account/tokens/", {"name": "second", "scopes": ["read"]})
        assert (answer.status_code, ApiToken.objects.count()) == (422, 1)


class TestLimit:
    def test_too_many_in_a_minute_are_told_when_to_come_again(self, people, api, settings, monkeypatch):
        settings.API_REQUESTS_PER_MINUTE = 2
        monkeypatch.setattr("leaderboard.api.limits.time.time", lambda: 600_000_015.0)
        alice, bob = api(people.alice), api(people.bob)
        events.connection().delete(*(f"{settings.INSTANCE}:api:{one.token.pk}:10000000" for one in (alice, bob)))
        answers = [alice("GET", "/me") for _ in range(3)]
        assert [one.status_code for one in answers] == [200, 200, 429]
        assert [one["RateLimit"] for one in answers] == [f'"token";r={left};t=45' for left in (1, 0, 0)]
        assert (answers[2]["Retry-After"], answers[2]["RateLimit-Policy"]) == ("45", '"token";q=2;w=60')
        assert bob("GET", "/me").status_code == 200, "each token has a limit of its own"

    def test_a_broker_that_is_away_holds_nobody_up(self, people, api, monkeypatch):
        alice = api(people.alice)
        monkeypatch.setattr(events, "connection", lambda: redis.Redis(port=1, socket_connect_timeout=0.1))
        answer = alice("GET", "/me")
        assert (answer.status_code, "RateLimit" in answer) == (200, False)


class TestRepeats:
    KEY = {"Idempotency-Key": "8e03978e"}

    def test_the_same_request_is_carried_out_once(self, people, api):
        cast.phase(slug="dev")
        alice = api(people.alice)
        first, second = (alice("POST", "/drafts", WORDS, **self.KEY) for _ in range(2))
        assert (first.status_code, second.status_code, Draft.objects.count()) == (201, 201, 1)
        assert (first.content, first["Location"]) == (second.content, second["Location"])
        assert (second["Idempotent-Replayed"], second["Content-Type"]) == ("true", first["Content-Type"])
        assert api(people.bob)("POST", "/drafts", WORDS, **self.KEY).status_code == 201, "a key is its token's"
        other = alice("POST", "/drafts", {**WORDS, "algorithm": "Other"}, **self.KEY)
        assert (other.status_code, Draft.objects.count()) == (409, 2)

    def test_a_refusal_is_not_kept_and_changes_nothing(self, people, api):
        phase = cast.phase(slug="dev", closes_at=clock.now() - timedelta(hours=1))
        alice = api(people.alice)
        assert alice("POST", "/drafts", WORDS, **self.KEY).status_code == 409
        assert not ApiAnswer.objects.exists()
        type(phase).objects.update(closes_at=clock.now() + timedelta(hours=1))
        assert alice("POST", "/drafts", WORDS, **self.KEY).status_code == 201

    def test_an_answer_is_kept_for_a_day(self, people, api):
        cast.phase(slug="dev")
        alice = api(people.alice)
        alice("POST", "/drafts", WORDS, **self.KEY)
        ApiAnswer.objects.update(at=clock.now() - timedelta(hours=25))
        tokens.forget_answers()
        assert not ApiAnswer.objects.exists()
        assert alice("POST", "/drafts", WORDS, **{"Idempotency-Key": "x" * 256}).status_code == 400


@pytest.mark.django_db(transaction=True)
def test_two_at_once_with_one_key_are_one(people, api):
    """The second waits for the first one's transaction, which is not over while its row is held."""
    dora = api(cast.person("Dora"))
    asked, answers = threading.Event(), []

    def ask() -> None:
        answers.append(dora("POST", "/team", {"name": "Solo"}, **TestRepeats.KEY))
        connection.close()

    with transaction.atomic():
        User.objects.select_for_update().get(pk=dora.token.user_id)  # founding a team waits for that
        threads = [threading.Thread(target=ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        asked.wait(0.2)
    for thread in threads:
        thread.join()
    assert [one.status_code for one in answers] == [201, 201]
    assert answers[0].content == answers[1].content
    assert Team.objects.filter(name="Solo").count() == 1


class TestAnswers:
    def test_what_was_seen_is_not_sent_again(self, people, api):
        phase = cast.phase(slug="dev")
        alice = api(people.alice)
        first = alice("GET", "/phases")
        again = alice("GET", "/phases", **{"If-None-Match": f'W/"x", {first["ETag"]}'})
        assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])
        type(phase).objects.update(description="New words.")
        assert alice("GET", "/phases", **{"If-None-Match": first["ETag"]}).status_code == 200
        head = alice("HEAD", "/phases")
        assert (head.status_code, head.content, head["ETag"] != first["ETag"]) == (200, b"", True)
        assert (first["Cache-Control"], first["Vary"]) == ("private, no-cache", "Authorization, Cookie")

    @pytest.mark.parametrize(
        ("method", "path", "sent", "status"),
        [
            ("GET", "/nowhere", {}, 404),
            ("GET", "/submissions/999", {}, 404),
            ("GET", f"/submissions/{10**30}", {}, 422),
            ("GET", "/submissions?page=0", {}, 422),
            ("GET", "/phases/%00", {}, 400),
            ("DELETE", "/me", {}, 405),
            *((method, "/openapi.json", {}, 405) for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")),
            ("POST", "/drafts", {"data": "{"}, 400),
            ("POST", "/drafts", {"data": "[" * 200_000}, 400),
            ("POST", "/drafts", {"data": '{"phase": NaN}'}, 400),
            ("POST", "/drafts", {"data": '{"phase": "dev", "unknown": 1}'}, 422),
            ("POST", "/drafts", {"data": '{"phase": "nowhere"}'}, 404),
            ("PATCH", "/me/notices", {"data": '{"runs": 0.0}'}, 422),
            ("POST", "/team/captaincy/offer", {"data": '{"member": "1"}'}, 422),
            ("POST", "/team/captaincy/offer", {"data": '{"member": true}'}, 422),
            ("POST", "/team/captaincy/offer", {"data": '{"member": 1e999}'}, 422),
            ("POST", "/team/captaincy/offer", {"data": '{"member": 1.0}'}, 409),
            ("POST", "/drafts", {"data": '{"phase": "\\u0000\\ud800"}'}, 404),
            ("POST", "/drafts", {"data": "a=b", "content_type": "application/x-www-form-urlencoded"}, 415),
            ("POST", "/preview", {"data": "x" * 1_100_000}, 413),
        ],
    )
    def test_every_refusal_is_a_problem(self, people, api, method, path, sent, status):
        headers = {"Authorization": f"Bearer {api(people.alice).text}"}
        sent = {"content_type": "application/json", **sent}
        answer = Client(enforce_csrf_checks=True).generic(method, f"/api/v1{path}", headers=headers, **sent)
        assert (answer.status_code, answer["Content-Type"]) == (status, PROBLEM), answer.content
        assert answer.headers.get("Content-Length", str(len(answer.content))) == str(len(answer.content))
        told = answer.json()
        assert (told["status"], told["type"], bool(told["detail"])) == (status, "about:blank", True)
        if status == 405:
            assert answer["Allow"]

    def test_a_fault_of_ours_is_one_too(self, people, api, monkeypatch):
        alice = api(people.alice)
        alice._client.raise_request_exception = False
        monkeypatch.setattr("leaderboard.api.people.is_confirmed", lambda _: 1 / 0)
        answer = alice("GET", "/me")
        assert (answer.status_code, answer["Content-Type"]) == (500, PROBLEM)


def test_the_page_reads_the_description(client):
    told = client.get("/api/v1/openapi.json").json()
    assert told["openapi"].startswith("3.1.")
    html = client.get("/api/v1/reference/").content.decode()
    ids = {one["operationId"] for methods in told["paths"].values() for one in methods.values()}
    assert [one for one in sorted(ids) if f'id="{one}"' not in html] == []
