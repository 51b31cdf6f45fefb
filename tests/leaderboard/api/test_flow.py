"""What a team does by the API: from a token to a submission, and what it decides about it."""

import io
import re
import tarfile
from typing import Any

import pytest
from django.test import Client

from leaderboard.challenge import downloads
from leaderboard.core import blobs, clock, outbox
from leaderboard.journey import pipeline
from leaderboard.models import CaseSet, Draft, Submission, User
from leaderboard.people import approvals, tokens
from tests.leaderboard import cast
from tests.leaderboard.web.scene import scored

pytestmark = pytest.mark.django_db(transaction=True)
FILE = tarfile.TarInfo("layer.tar").tobuf() + bytes(3000)
WORDS = {"track": "main", "algorithm": "Grounder", "method": cast.METHOD, "external_data": "none"}


def send_file(tus: dict[str, str]) -> None:
    """By the protocol of tus, with what the draft shows for it."""
    headers = {"Authorization": f"Bearer {tus['key']}", "Tus-Resumable": "1.0.0", "Upload-Length": str(len(FILE))}
    path = tus["address"].partition("//")[2].partition("/")[2]
    answer = Client().generic("POST", f"/{path}", FILE, content_type="application/offset+octet-stream", headers=headers)
    assert answer.status_code == 201, answer.content


def test_a_program_hands_in_and_decides(people, api):
    """One story: a draft, its file, the submission; a note, withdrawn, brought back, cancelled."""
    phase = cast.phase(slug="dev", cases_are_public=True, runs_per_day=9)
    alice, charlie = api(people.alice), api(people.charlie)
    [told] = alice.get("/phases")
    assert (told["slug"], told["is_open"], told["takes"]) == ("dev", True, ["images"])
    made = alice("POST", "/drafts", {"phase": "dev", "algorithm": "Ground"})
    assert made.status_code == 201
    draft, where = made.json(), made["Location"].removeprefix("/api/v1")
    early = alice("POST", f"{where}/send", WORDS)
    assert (early.status_code, early["Content-Type"]) == (422, "application/problem+json")
    assert early.json()["detail"] == "Choose the archive of your image."
    assert alice("PATCH", where, WORDS).json()["words"]["algorithm"] == "Grounder"
    assert api(people.alice, "read").get(where)["tus"]["key"] is None, "a key to change it is more than reading"
    send_file(draft["tus"])
    assert alice.get(where)["upload"]["received"] == len(FILE)
    assert [one["id"] for one in alice.get("/drafts")] == [draft["id"]]
    assert (charlie.get("/drafts"), charlie("GET", where).status_code) == ([], 404)
    sent = alice("POST", f"{where}/send", {}).json()
    assert sent["state"] == "accepted"
    own = f"/submissions/{sent['submission']}"
    assert alice.get(where) == alice("POST", f"{where}/send").json() == sent, "sent again it is the same"
    assert alice("PATCH", where, {}).status_code == 409
    submission = alice.get(own)
    assert (submission["state"], submission["method"], submission["can_cancel"]) == (
        "received",
        cast.METHOD.strip(),
        True,
    )
    [kind] = alice.get("/phases/dev/quota")
    assert (kind["kind"], kind["today_left"]) == ("scored", 8)
    assert alice("PUT", f"{own}/note", {"note": "the blue one"}).status_code == 204
    assert [one["note"] for one in alice.get("/submissions?words=blue")["items"]] == ["the blue one"]
    for path, withdrawn in (("withdraw", True), ("bring-back", False)):
        assert alice("POST", f"{own}/{path}").json()["withdrawal"]["withdrawn"] is withdrawn
    assert charlie("POST", f"{own}/cancel").status_code == 404
    assert alice("POST", f"{own}/cancel").json()["state"] == "cancelled"
    again = alice("POST", f"{own}/cancel")
    assert (again.status_code, Submission.objects.count()) == (409, 1)
    assert phase.submissions.get().submitted_by == people.alice


def test_what_is_prepared_can_be_taken_back_and_deleted(people, api):
    cast.phase(slug="dev", pdf="optional", commitment="no")
    alice, bob = api(people.alice), api(people.bob)
    draft = alice("POST", "/drafts", {"phase": "dev", **WORDS}).json()
    where, upload = f"/drafts/{draft['id']}", draft["tus"]
    headers = {"Authorization": f"Bearer {upload['key']}", "Tus-Resumable": "1.0.0", "Upload-Length": "9999"}
    path = f"/uploads/drafts/{draft['id']}/"
    Client().generic("POST", path, FILE[:512], content_type="application/offset+octet-stream", headers=headers)
    assert bob("POST", f"{where}/send").json()["state"] == "sent"
    refused = bob("PATCH", where, {"algorithm": "Other"})
    assert (refused.status_code, "Take it back" in refused.json()["detail"]) == (409, True)
    assert bob("POST", f"{where}/take-back").json()["state"] == "draft"
    pdf: dict[str, Any] = {"content_type": "application/pdf", "headers": {"Authorization": f"Bearer {bob.text}"}}
    assert Client().put(f"/api/v1{where}/pdf", b"%PDF-1.7 words", **pdf).status_code == 204
    assert bob.get(where)["pdf"] == {"name": "method.pdf", "bytes": 14}
    assert Client().put(f"/api/v1{where}/pdf", b"no pdf", **pdf).json()["detail"].startswith("The file is no PDF")
    assert Client().put(f"/api/v1{where}/pdf", bytes(10_000_001), **pdf).status_code == 413
    assert bob("DELETE", f"{where}/pdf").status_code == 204
    assert (bob("DELETE", where).status_code, Draft.objects.count()) == (204, 0)
    assert bob("DELETE", where).status_code == 404


def test_a_run_case_by_case_is_its_team_s_on_public_cases_alone(people, api):
    public = cast.phase(slug="dev", cases_are_public=True)
    hidden = cast.phase(public.case_set, slug="test")
    runs = [scored(people.team, phase, user=people.alice) for phase in (public, hidden)]
    alice, charlie = api(people.alice), api(people.charlie)
    cast.let_a_minute_pass()
    parts = ("findings", "cases", "containers", "results", "logs/1/1", "masks/case_000.nii.gz")
    for part in parts:
        answers = [alice("GET", f"/submissions/{run.submission_id}/{part}").status_code for run in runs]
        assert answers[1] == 404, part
        assert charlie("GET", f"/submissions/{runs[0].submission_id}/{part}").status_code == 404
        assert answers[0] == (404 if part.startswith(("logs", "masks")) else 200), part
    page = alice("GET", f"/submissions/{runs[0].submission_id}/cases?per_page=2")
    assert (len(page.json()["items"]), page.json()["total"]) == (2, 3)
    path = f"/api/v1/submissions/{runs[0].submission_id}/cases?per_page=2&page="
    assert page["Link"] == f'<{path}1>; rel="first", <{path}2>; rel="next", <{path}2>; rel="last"'
    for slug in ("dev", "test"):
        [row] = api().get(f"/phases/{slug}/board")["items"]
        assert (row["rank"], row["team"], row["listed"]) == (1, "Alice and Bob", "ranked")
    [line] = alice.get("/submissions?phase=test&state=scored")["items"]
    assert line["figures"]["dice"] == round(line["figures"]["dice"], 3)
    assert alice.get("/submissions?phase=nowhere")["items"] == []


def test_a_try_out_is_entered_once(people, api):
    phase = cast.phase(slug="dev", cases_are_public=True, runs_per_day=1)
    type(phase).objects.filter(pk=phase.pk).update(try_outs_on=phase)
    phase.refresh_from_db()
    try_out = cast.submit(people.team, phase, user=people.alice, kind="try_out")
    image = cast.image()
    image.archive = blobs.images.put(io.BytesIO(b"an image")).digest
    image.save()
    pipeline.accept(_validating(try_out), image)
    alice = api(people.alice)
    entered = [alice("POST", f"/submissions/{try_out.pk}/enter") for _ in range(2)]
    assert [one.status_code for one in entered] == [201, 201], entered[0].content
    assert entered[0].json()["id"] == entered[1].json()["id"] != try_out.pk
    draft = alice("POST", f"/submissions/{try_out.pk}/again", {"phase": "dev"})
    assert (draft.status_code, draft.json()["source"]) == (201, try_out.pk)


def _validating(submission: Submission) -> Submission:
    Submission.objects.filter(pk=submission.pk).update(state="validating")
    return Submission.objects.get(pk=submission.pk)


def test_a_team_is_changed_and_a_profile_too(people, api):
    alice, bob, charlie = api(people.alice), api(people.bob), api(people.charlie)
    dora = api(cast.person("Dora", accepts_rules=False))
    team = alice.get("/team")
    assert [one["name"] for one in team["members"]] == ["Alice", "Bob"]
    assert bob.get("/team")["join_link"] is None
    assert api(people.alice, "read").get("/team")["join_link"] is None, "it lets people in"
    code = team["join_link"].rstrip("/").rpartition("/")[2]
    assert charlie("POST", "/team/join", {"code": code}).json()["detail"].startswith("You are in the team “Rivals”")
    assert dora("GET", "/team").status_code == 404
    assert dora("POST", "/team/join", {"code": code}).json()["places_left"] == 17
    why = {"why": "You asked for it."}
    assert (
        bob("POST", f"/team/members/{people.alice.pk}/remove", why).json()["detail"].startswith("Only the captain can")
    )
    assert bob("POST", "/team/captaincy/offer", {"member": people.bob.pk}).status_code == 409
    offered = alice("POST", "/team/captaincy/offer", {"member": people.bob.pk}).json()
    assert offered["captaincy_offered_to"] == people.bob.pk
    assert alice("POST", "/team/captaincy/take-back").json()["captaincy_offered_to"] is None
    alice("POST", "/team/captaincy/offer", {"member": people.bob.pk})
    assert bob("POST", "/team/captaincy/decline").json()["members"][0]["name"] == "Alice"
    alice("POST", "/team/captaincy/offer", {"member": people.bob.pk})
    assert bob("POST", "/team/captaincy/accept").json()["members"][0]["name"] == "Bob"
    assert bob("POST", f"/team/members/{people.alice.pk}/remove", {"why": ""}).status_code == 422
    assert len(bob("POST", f"/team/members/{people.alice.pk}/remove", why).json()["members"]) == 2
    assert bob("POST", "/team/join-link").json()["join_link"] != team["join_link"]
    assert bob("DELETE", "/team/join-link").status_code == 204
    assert bob.get("/team")["join_link"] is None
    assert bob("PATCH", "/team", {"name": "Bob alone", "affiliation": "Basel"}).json()["affiliation"] == "Basel"
    assert dora("POST", "/team/leave").status_code == 204
    assert dora("POST", "/team", {"name": "Solo"}).json()["slug"] == "solo"
    assert dora.get("/me")["has_accepted_rules"] is False
    assert dora("POST", "/me/rules", {"version": "1999"}).status_code == 409
    version = dora.get("/me")["rules_version"]
    assert dora("POST", "/me/rules", {"version": version}).json()["has_accepted_rules"] is True
    changed = dora("PATCH", "/me", {"name": "Dora  D.\u202e"}).json()
    assert (changed["name"], changed["team"]["name"]) == ("Dora D.", "Solo")
    assert dora("PATCH", "/me", {"name": ""}).status_code == 422
    for refused in (dora("PATCH", "/me", {"affiliation": "evil.com"}), dora("POST", "/team", {"name": "evil.com"})):
        assert (refused.status_code, "Leave addresses" in refused.json()["detail"]) == (409, True)
    User.objects.filter(pk=dora.token.user_id).update(affiliation="kept.example")
    assert dora("PATCH", "/me", {"name": "Dora D."}).json()["affiliation"] == "kept.example"
    assert dora("PATCH", "/me", {"orcid": "0000-0002-1825-0098"}).status_code == 409
    told = dora("PATCH", "/me", {"orcid": "https://orcid.org/0000000218250097", "country": "CH"}).json()
    assert (told["orcid"], told["country"]) == ("0000-0002-1825-0097", "CH")
    assert tokens.PREFIX not in str(dora.get("/me"))


def test_somebody_is_invited_and_answers(people, api, mailoutbox):
    alice, bob, charlie, dora = (api(one) for one in (people.alice, people.bob, people.charlie, cast.person("Dora")))
    assert bob("POST", "/team/invitations", {"email": "dora@example.org"}).status_code == 409
    sent = alice("POST", "/team/invitations", {"email": "dora@example.org"}).json()
    assert sent["email"] == "dora@example.org"
    assert alice("POST", "/team/invitations", {"email": "nobody"}).status_code == 409
    assert [one["id"] for one in alice.get("/team/invitations")] == [sent["id"]]
    assert bob.get("/team/invitations") == charlie.get("/team/invitations") == []
    assert charlie("DELETE", f"/team/invitations/{sent['id']}").status_code == 404
    outbox.send_due()
    assert alice("POST", f"/team/invitations/{sent['id']}/again").json()["sends"] == 2
    outbox.send_due()
    old, new = (found for mail in mailoutbox for found in re.findall(r"/team/invitation/([^/\s]+)/", mail.body))
    assert dora("POST", "/team/invitation/accept", {"token": old}).status_code == 409
    assert len(dora("POST", "/team/invitation/accept", {"token": new}).json()["members"]) == 3
    emil = alice("POST", "/team/invitations", {"email": "emil@example.org"}).json()
    assert alice("DELETE", f"/team/invitations/{emil['id']}").status_code == 204
    assert alice.get("/team/invitations") == []


def test_a_team_asks_for_approval_and_reads_the_answer(people, api):
    phase = cast.phase(requires_approval=True)
    alice, charlie = api(people.alice), api(people.charlie)
    assert alice("POST", "/team/approvals", {"phase": phase.slug}).json()["state"] == "waiting"
    approvals.approve(people.team.approvals.get(), by=cast.OPERATOR)
    assert [(one["phase"], one["state"]) for one in alice.get("/team/approvals")] == [(phase.slug, "approved")]
    assert charlie.get("/team/approvals") == []
    assert alice("POST", "/team/approvals", {"phase": "none"}).status_code == 404


def test_notices_are_chosen(people, api):
    alice = api(people.alice)
    assert set(alice.get("/me/notices").values()) == {True}
    assert alice("PATCH", "/me/notices", {"deadlines": False}).json()["deadlines"] is False
    assert [kind for kind, wants in alice.get("/me/notices").items() if not wants] == ["deadlines"]


def test_public_data_are_found_and_fetched_with_the_same_token(people, api):
    case_set = cast.phase(cases_are_public=True).case_set
    alice = api(people.alice)
    assert alice.get("/data") == []
    downloads.publish_terms(case_set, "For research alone.", by=cast.OPERATOR)
    CaseSet.objects.filter(pk=case_set.pk).update(allows_downloads=True, copied_at=clock.now())
    (told,) = alice.get("/data")
    assert (told["terms"], told["accepted_at"], told["sums_url"]) == ("For research alone.", None, None)
    sums = f"/data/{case_set.name}/SHA256SUMS"
    with_token = {"Authorization": f"Bearer {alice.text}"}
    assert Client().get(sums, headers=with_token).status_code == 403
    assert alice("POST", f"/data/{case_set.name}/terms", {"version": 7}).status_code == 409
    assert alice("POST", f"/data/{case_set.name}/terms", {"version": 1}).json()["sums_url"].endswith(sums)
    assert b"dataset.json" in Client().get(sums, headers=with_token).content
    assert Client().get(sums, headers={"Authorization": "Bearer rexg_pat_none"}).status_code in {401, 403}
