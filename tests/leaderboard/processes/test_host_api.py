"""The addresses that GPU hosts call: over HTTP, with a token."""

import hashlib
import io
import json
import uuid
from datetime import timedelta

import pytest
from django.test import Client

from leaderboard.core import blobs, clock
from leaderboard.hosts import gpus
from leaderboard.models import Batch, Case, Host, Phase
from leaderboard.states import BatchState
from tests.leaderboard import cast, gpu_host, masks

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def api():
    return Client(headers={"Authorization": f"Bearer {cast.TOKEN}"})


@pytest.fixture
def batch(host):
    phase = cast.phase(cast.case_set(2))
    for case in Case.objects.all():
        masks.give_reference(case, masks.cube())
    return gpu_host.waiting(cast.submit_checked(cast.team_of(cast.person("Alice")), phase).runs.get())


def post(api, path, **body):
    return api.post(f"/worker/v1/{path}", json.dumps(body), content_type="application/json")


def claim(api, batch):
    return post(api, f"batches/{batch.pk}/claim", key=str(uuid.uuid4()), slot="slot0")


def put(api, batch, name, content, *, fence=1, digest=None):
    return api.put(
        f"/worker/v1/batches/{batch.pk}/outputs/{name}?fence={fence}",
        content,
        content_type="application/octet-stream",
        headers={"X-Content-SHA256": digest or hashlib.sha256(content).hexdigest()},
    )


def test_a_host_says_what_it_offers(api, host):
    answer = post(api, "hello", version="1", slots=[{"name": "gpu0", "gpus": ["0"]}], engine="20.10")
    assert answer.json()["lease_seconds"] == 60
    host.refresh_from_db()
    assert host.slots == [{"name": "gpu0", "gpus": ["0"]}]
    assert host.trouble == ""
    post(api, "hello", version="1", slots=[], engine="20.10", trouble="gpu0 rests\x00")
    host.refresh_from_db()
    assert (host.slots, host.trouble) == ([], "gpu0 rests\ufffd")


A100 = {"id": "0", "name": "NVIDIA A100-SXM4-80GB", "uuid": "GPU-1", "memory_bytes": 85899345920}
GPUS = {"driver": "550.54.15", "cuda": "12.4", "handover": "cdi", "devices": [A100]}


def test_a_host_says_which_gpus_it_has_when_it_was_told_that_this_is_read(api, host):
    answer = post(api, "hello", version="1", slots=[], engine="20.10")
    assert "gpus" in answer.json()["reads"]
    host.refresh_from_db()
    assert not host.gpus
    assert post(api, "hello", version="1", slots=[], engine="20.10", gpus=GPUS).status_code == 200
    host = Host.objects.get(pk=host.pk)
    assert host.gpus == GPUS
    assert gpus.summary(host) == "NVIDIA A100-SXM4-80GB (86 GB); driver 550.54.15, CUDA 12.4"
    post(api, "hello", version="1", slots=[], engine="20.10", gpus={})
    host.refresh_from_db()
    assert (host.gpus, gpus.summary(host)) == ({}, "")


def test_what_a_newer_host_says_beyond_that_is_left_unread(api, host):
    """Hosts may be upgraded before the server, and say more, of themselves and of each GPU."""
    newer = GPUS | {"topology": [1], "devices": [A100 | {"clock": 1410}, A100 | {"memory_bytes": None}]}
    answer = post(api, "hello", version="1", slots=[], engine="20.10", gpus=newer, mood={"good": True})
    assert answer.status_code == 200
    host.refresh_from_db()
    assert host.gpus == GPUS | {"devices": [A100, A100 | {"memory_bytes": None}]}


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        "A100",
        GPUS | {"driver": "x" * 201},
        GPUS | {"cuda": 12.4},
        GPUS | {"devices": [A100] * 257},
        GPUS | {"devices": [A100 | {"memory_bytes": -1}]},
        GPUS | {"devices": ["0"]},
        {"devices": []},
    ],
)
def test_gpus_that_are_not_described_as_agreed_are_refused(api, host, wrong):
    assert post(api, "hello", version="1", slots=[], engine="20.10", gpus=wrong).status_code == 400
    host.refresh_from_db()
    assert host.gpus is None


MACHINE = {"memory_bytes": 64 * 2**30, "disk_bytes": 900 * 10**9, "cache_bytes": 0}


def test_a_host_says_what_machine_it_is_and_one_of_before_does_not(api, host):
    hello = {"version": "1", "slots": [], "engine": "20.10"}
    assert "machine" in post(api, "hello", **hello).json()["reads"]
    assert post(api, "hello", **hello, machine=MACHINE | {"mood_bytes": 1}).status_code == 200
    host.refresh_from_db()
    assert host.machine == MACHINE
    refused: tuple[object, ...] = ([], "large", MACHINE | {"disk_bytes": -1}, {"disk_bytes": 1})
    for wrong in refused:
        assert post(api, "hello", **hello, machine=wrong).status_code == 400
    post(api, "hello", **hello)
    host.refresh_from_db()
    assert host.machine is None


def test_no_text_of_a_host_can_stop_the_database(api, host):
    hostile = GPUS | {"driver": "5\x00\ud800", "devices": [A100 | {"name": "\x00\udfff<b>"}]}
    assert post(api, "hello", version="1", slots=[], engine="20.10", gpus=hostile).status_code == 200
    host.refresh_from_db()
    assert "<b>" in gpus.summary(host)


def test_a_batch_goes_from_claim_to_scores(api, batch):
    order = claim(api, batch).json()
    name, content = order["cases"][0]["name"], masks.nifti(masks.cube())
    assert put(api, batch, name, content).status_code == 204
    assert post(api, f"batches/{batch.pk}/heartbeat", fence=1, done=1).json() == {"go_on": True}
    output = {"blob": f"sha256:{hashlib.sha256(content).hexdigest()}", "size": len(content)}
    case = {"name": name, "status": "finished", "reason": None, "seconds": 1, "output": output}
    answer = post(api, f"batches/{batch.pk}/report", fence=1, cases=[case], container=None, fault=None, log="")
    assert answer.json() == {"accepted": True}
    gpu_host.score_reported(batch.run)
    assert batch.run.cases.get(position=0).result["dice"] == 1


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {cast.TOKEN}"}])
def test_it_refuses_strangers(host, batch, headers):
    assert claim(Client(headers=headers), batch).status_code == 401


def test_it_refuses_a_revoked_host(api, host, batch):
    Host.objects.update(revoked_at=clock.now())
    assert claim(api, batch).status_code == 401


def test_a_host_reads_the_volumes_of_its_batch_and_nothing_else(api, batch):
    volume = blobs.volumes.put(io.BytesIO(b"a volume"))
    reference = Case.objects.all()[0].reference
    Case.objects.update(volume=volume.digest)
    assert api.get(f"/worker/v1/blobs/{volume.digest}").status_code == 404
    claim(api, batch)
    answer = api.get(f"/worker/v1/blobs/{volume.digest}")
    assert b"".join(answer.streaming_content) == b"a volume"
    assert api.get(f"/worker/v1/blobs/{reference}").status_code == 404
    assert api.get("/worker/v1/blobs/sha256:../../etc/passwd").status_code == 404


def test_a_reference_is_not_served_even_when_a_row_names_it_as_a_volume(api, batch):
    reference = Case.objects.all()[0].reference
    Case.objects.update(volume=reference)
    claim(api, batch)
    assert api.get(f"/worker/v1/blobs/{reference}").status_code == 404


def test_a_stale_fence_is_told_to_stop(api, batch):
    claim(api, batch)
    Batch.objects.update(lease_until=clock.now() - timedelta(seconds=1), fence=2)
    answer = post(api, f"batches/{batch.pk}/heartbeat", fence=1, done=0)
    assert (answer.status_code, answer.json()["why"]) == (409, "stale")


def test_a_mask_that_arrives_changed_is_refused(api, batch):
    name = claim(api, batch).json()["cases"][0]["name"]
    assert put(api, batch, name, b"mask", digest="0" * 64).status_code == 422
    assert not blobs.outputs.exists("sha256:" + "0" * 64)


def test_a_mask_for_a_case_of_no_order_is_refused(api, batch):
    claim(api, batch)
    assert put(api, batch, "other.nii.gz", b"mask").status_code == 400


def test_a_mask_beyond_the_phases_space_is_refused(api, batch):
    Phase.objects.update(output_bytes=1 << 20)
    name = claim(api, batch).json()["cases"][0]["name"]
    assert put(api, batch, name, b"x" * ((1 << 20) + 1)).status_code == 400


@pytest.mark.parametrize(
    "garbage",
    [
        {},
        {"fence": "1"},
        {"fence": 1, "cases": "all"},
        {"fence": 1, "cases": [{"name": "x", "status": "won"}]},
        {"fence": 1, "cases": [{"name": "x", "status": "failed", "reason": "tired"}]},
        {"fence": 1, "cases": [{"name": "x", "status": "finished"}]},
        {"fence": 1, "cases": [], "fault": {"code": "bad weather"}},
        {"fence": 1, "cases": [{"name": "not-mine.nii.gz", "status": "missing"}]},
    ],
)
def test_a_report_without_the_agreed_form_changes_nothing(api, batch, garbage):
    claim(api, batch)
    assert post(api, f"batches/{batch.pk}/report", **garbage).status_code == 400
    batch.refresh_from_db()
    assert batch.state == BatchState.LEASED


def test_a_body_that_is_no_json_is_refused(api, batch):
    answer = api.post(f"/worker/v1/batches/{batch.pk}/claim", b"\xff{", content_type="application/json")
    assert answer.status_code == 400


def test_finished_cases_need_their_mask_uploaded_first(api, batch):
    order = claim(api, batch).json()
    output = {"blob": "sha256:" + "4" * 64, "size": 3}
    name = order["cases"][0]["name"]
    case = {"name": name, "status": "finished", "reason": None, "seconds": 1, "output": output}
    answer = post(api, f"batches/{batch.pk}/report", fence=1, cases=[case], container=None, fault=None, log="")
    assert answer.status_code == 400


def report_of(order, digest, size):
    output = {"blob": f"sha256:{digest}", "size": size}
    case = {"name": order["cases"][0]["name"], "status": "finished", "reason": None, "seconds": 1, "output": output}
    return {"fence": order["fence"], "cases": [case], "container": None, "fault": None, "log": ""}


class TestALyingHost:
    """Reports a mask that lies in the store, but that this attempt did not upload."""

    MASK = masks.nifti(masks.cube())
    DIGEST = hashlib.sha256(MASK).hexdigest()

    def refused(self, api, batch, order, **changes):
        answer = post(api, f"batches/{batch.pk}/report", **report_of(order, self.DIGEST, len(self.MASK)) | changes)
        batch.refresh_from_db()
        return answer.status_code == 400 and batch.state == BatchState.LEASED

    def test_a_mask_of_another_run_is_refused(self, api, batch):
        blobs.outputs.put(io.BytesIO(self.MASK))
        assert self.refused(api, batch, claim(api, batch).json())

    def test_a_mask_of_an_earlier_attempt_is_refused(self, api, batch):
        order = claim(api, batch).json()
        assert put(api, batch, order["cases"][0]["name"], self.MASK).status_code == 204
        Batch.objects.update(state=BatchState.WAITING)
        again = claim(api, batch).json()
        assert again["fence"] == 2
        assert self.refused(api, batch, again)
        assert put(api, batch, again["cases"][0]["name"], self.MASK, fence=2).status_code == 204
        said = report_of(again, self.DIGEST, len(self.MASK))
        assert post(api, f"batches/{batch.pk}/report", **said).status_code == 200

    def test_another_mask_or_size_than_it_uploaded_is_refused(self, api, batch):
        order = claim(api, batch).json()
        other = masks.nifti(masks.cube(2))
        assert put(api, batch, order["cases"][0]["name"], other).status_code == 204
        blobs.outputs.put(io.BytesIO(self.MASK))
        assert self.refused(api, batch, order)
        said = report_of(order, hashlib.sha256(other).hexdigest(), len(other) + 1)
        assert self.refused(api, batch, order, cases=said["cases"])

    def test_a_mask_that_it_uploaded_for_another_case_is_refused(self, api, batch):
        batch.run.cases.update(batch=batch)
        order = claim(api, batch).json()
        assert len(order["cases"]) == 2
        assert put(api, batch, order["cases"][1]["name"], self.MASK).status_code == 204
        assert self.refused(api, batch, order)

    def test_a_mask_that_arrives_when_the_lease_is_lost_counts_for_nobody(self, api, batch, monkeypatch):
        order = claim(api, batch).json()
        taken = blobs.Store.put

        def put_slowly(store, *args, **kwargs):
            Batch.objects.update(fence=2)
            return taken(store, *args, **kwargs)

        monkeypatch.setattr(blobs.Store, "put", put_slowly)
        assert put(api, batch, order["cases"][0]["name"], self.MASK).status_code == 409
        assert batch.attempts.get().received == {}

    def test_an_attempt_that_began_before_uploads_were_noted_may_go_on(self, api, batch):
        """The server was upgraded between its upload and its report."""
        order = claim(api, batch).json()
        batch.attempts.update(received=None)
        blobs.outputs.put(io.BytesIO(self.MASK))
        said = report_of(order, self.DIGEST, len(self.MASK))
        assert post(api, f"batches/{batch.pk}/report", **said).status_code == 200
