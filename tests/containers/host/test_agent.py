"""A worker against a real engine and a real socket: nothing is lost, whatever breaks, and nothing is left behind."""

import os
import shutil
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from containers.host.agent import Agent
from containers.host.config import Settings
from containers.host.image_cache import ImageCacheLimits
from containers.intake import ArchiveLimits, check_archive, check_weights
from containers.sandbox import holder
from containers.sandbox.engine import Engine
from tests.containers import baseimage
from tests.containers.conftest import leftovers, order_json, outcomes, wait_until
from tests.containers.fakeserver import FakeServer
from tests.containers.intake.build import Image, entry, layer_of, link
from tests.containers.sandbox.test_images import checked, unique_layer

pytestmark = pytest.mark.engine

SLOW = "import time; time.sleep(1.0)\n"


def test_a_batch_is_claimed_run_uploaded_and_reported(
    new_agent: Callable[[], Agent], server: FakeServer, offer: Callable[..., str]
) -> None:
    new_agent().run_batch(offer(None, "print('oh no'); raise SystemExit(1)", None))
    assert [outcomes(report) for report in server.reports] == [["finished", "crashed", "untouched"]]
    assert server.outputs == {"case0.nii.gz": b"mask of input"}
    assert server.reports[0]["log"] == "oh no\n"


def test_it_introduces_itself_with_its_slots(new_agent: Callable[[], Agent], server: FakeServer) -> None:
    server.reads = ["can"]
    new_agent()
    wait_until(lambda: len(server.hellos) > 1)
    assert server.hellos[0]["slots"] == [{"name": "cpu0", "gpus": []}]
    said = [hello.get("can") for hello in server.hellos[:2]]
    assert said == [None, ["weights"]], "what it can do it says to a server that reads it"


def test_it_says_once_that_it_is_known_and_what_machine_it_is_to_a_server_that_reads_it(
    new_agent: Callable[[], Agent], server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.reads = ["machine"]
    with caplog.at_level("INFO", logger="containers"):
        new_agent()
        wait_until(lambda: len(server.hellos) > 2)
    assert [hello.get("machine") is not None for hello in server.hellos[:2]] == [False, True]
    machine = server.hellos[1]["machine"]
    assert machine["memory_bytes"] > 2**28
    assert 0 <= machine["cache_bytes"] < machine["disk_bytes"]
    known = [record for record in caplog.records if record.message == "The server knows this host."]
    assert [record.levelname for record in known] == ["INFO"]


def weights(server: FakeServer, tmp_path: Path) -> dict[str, Any]:
    """What an order says of weights that the server has."""
    uploaded = tmp_path / "uploaded.tar"
    uploaded.write_bytes(layer_of(entry("fold_0/model.pt", data=b"the weights", mode=0o600), link("best", "fold_0")))
    check_weights(uploaded, tmp_path / "weights.tar")
    content = (tmp_path / "weights.tar").read_bytes()
    return {"blob": server.put_blob(content), "size": len(content)}


READ_WEIGHTS = """
import fcntl, os
model = pathlib.Path("/opt/ml/model")
seen = [(model / "best" / "model.pt").read_text(), *sorted(str(path) for path in model.rglob("*"))]
def refused(act):
    try:
        act()
    except OSError as error:
        return os.strerror(error.errno)
    return "done"
seen.append(refused(lambda: (model / "new").write_text("x")))
seen.append(refused(lambda: (model / "fold_0/model.pt").write_text("x")))
seen.append(refused(lambda: os.chmod(model / "fold_0/model.pt", 0o777)))
seen.append(refused(lambda: os.unlink(model / "best")))
finish(name, "|".join(seen).encode())
"""


def test_weights_are_read_and_not_written_in_a_copy_that_the_next_batch_gets(
    new_agent: Callable[[], Agent],
    server: FakeServer,
    offer: Callable[..., str],
    host_settings: Settings,
    tmp_path: Path,
) -> None:
    agent, named = new_agent(), weights(server, tmp_path)
    for _ in range(2):
        batch = offer(READ_WEIGHTS)
        server.orders[batch]["weights"] = named
        agent.run_batch(batch)
        assert outcomes(server.reports[-1]) == ["finished"], server.reports[-1]["log"]
        content, *paths, new, file, mode, removed = server.outputs.pop("case0.nii.gz").decode().split("|")
        assert content == "the weights"
        assert paths == [f"/opt/ml/model/{name}" for name in ("best", "fold_0", "fold_0/model.pt")]
        assert {new, file, mode, removed} <= {"Read-only file system", "Permission denied"}
    assert len([path for path in server.requests if named["blob"] in path]) == 1
    assert len(list((host_settings.state_dir / "weights" / "copies").iterdir())) == 1
    assert leftovers(host_settings) == []
    odd, batch = layer_of(entry("../x")), offer(None)
    server.orders[batch]["weights"] = {"blob": server.put_blob(odd), "size": len(odd)}
    agent.run_batch(batch)
    assert server.reports[-1]["fault"]["code"] == "weights_unavailable", "what is none of ours is nobody else's fault"


def test_inputs_are_downloaded_once(
    new_agent: Callable[[], Agent], server: FakeServer, offer: Callable[..., str]
) -> None:
    agent = new_agent()
    agent.run_batch(offer(None, None))
    agent.run_batch(offer(None))
    assert len([path for path in server.requests if "/blobs/" in path]) == 1


def test_an_answer_that_fails_to_come_is_asked_for_again(
    new_agent: Callable[[], Agent], server: FakeServer, offer: Callable[..., str]
) -> None:
    for path in ("/claim", "/blobs/", "/outputs/", "/report"):
        server.fail(path, "lose")
        server.fail(path, 503)
    new_agent().run_batch(offer(None))
    assert [outcomes(report) for report in server.reports] == [["finished"]]
    assert server.outputs == {"case0.nii.gz": b"mask of input"}


def test_a_batch_of_another_host_is_left_alone(
    new_agent: Callable[[], Agent], server: FakeServer, offer: Callable[..., str]
) -> None:
    agent, taken = new_agent(), offer(None)
    server.claims[taken] = "another host's key"
    agent.run_batch(taken)
    assert server.reports == []
    agent.run_batch(offer(None))  # the slot is free again
    assert len(server.reports) == 1


def test_a_message_that_comes_twice_is_done_once(
    new_agent: Callable[[], Agent], server: FakeServer, offer: Callable[..., str]
) -> None:
    agent, batch = new_agent(), offer(SLOW + "finish(name)")
    message = threading.Thread(target=agent.run_batch, args=[batch])
    message.start()
    wait_until(lambda: server.claims)
    agent.run_batch(batch)
    assert server.reports == []  # it returned at once
    message.join()
    assert len(server.reports) == 1


def test_a_disk_on_which_nothing_can_be_promised_costs_neither_the_slot_nor_the_batch(
    new_agent: Callable[[], Agent], server: FakeServer, offer: Callable[..., str], host_settings: Settings
) -> None:
    agent, batch = new_agent(), offer(None)
    in_the_way = host_settings.state_dir / "journal" / f"{batch}.new"
    in_the_way.mkdir()  # the entry cannot be written, as on a full disk
    agent.run_batch(batch)
    assert server.claims == {}
    in_the_way.rmdir()
    agent.run_batch(batch)
    assert [outcomes(report) for report in server.reports] == [["finished"]]


def test_a_message_that_is_no_batch_is_ignored(new_agent: Callable[[], Agent], server: FakeServer) -> None:
    new_agent().run_batch("../../etc/passwd")
    assert not [path for path in server.requests if "batches" in path]


def test_cancelling_ends_the_container_within_seconds(
    new_agent: Callable[[], Agent], server: FakeServer, offer: Callable[..., str]
) -> None:
    agent, batch = new_agent(), offer(None, "import time; time.sleep(60)")
    message = threading.Thread(target=agent.run_batch, args=[batch])
    message.start()
    wait_until(lambda: 1 in server.beats)
    before = time.monotonic()
    server.called_off.add(batch)
    message.join()
    assert time.monotonic() - before < 5
    assert server.reports == []


def test_a_stale_report_is_dropped(
    new_agent: Callable[[], Agent], server: FakeServer, offer: Callable[..., str]
) -> None:
    server.fail("/report", 409)
    new_agent().run_batch(offer(None))
    assert server.reports == []


def test_a_revoked_token_ends_the_batch(
    new_agent: Callable[..., Agent], server: FakeServer, offer: Callable[..., str]
) -> None:
    new_agent(token="revoked").run_batch(offer(None))
    assert server.claims == {}


def test_progress_is_told_while_it_runs(
    new_agent: Callable[[], Agent], server: FakeServer, offer: Callable[..., str]
) -> None:
    new_agent().run_batch(offer(*[SLOW + "finish(name)"] * 3))
    assert {1, 2} <= set(server.beats)


def test_an_input_that_the_server_does_not_have_is_our_fault(
    new_agent: Callable[[], Agent], server: FakeServer, offer: Callable[..., str]
) -> None:
    batch = offer(None)
    server.blobs.clear()
    new_agent().run_batch(batch)
    assert server.reports[0]["fault"]["code"] == "input_unavailable"
    assert outcomes(server.reports[0]) == ["untouched"]


def test_an_input_that_arrives_damaged_is_our_fault(
    new_agent: Callable[[], Agent], server: FakeServer, offer: Callable[..., str]
) -> None:
    batch = offer(None)
    server.blobs = dict.fromkeys(server.blobs, b"INPUT")
    new_agent().run_batch(batch)
    assert server.reports[0]["fault"]["code"] == "input_unavailable"


def test_an_image_that_the_server_does_not_have_is_our_fault(
    new_agent: Callable[[], Agent], server: FakeServer, offer: Callable[..., str]
) -> None:
    new_agent().run_batch(offer(None, image="sha256:" + "1" * 64))
    assert server.reports[0]["fault"]["code"] == "image_unavailable"


def test_an_order_for_more_gpus_than_the_slot_has_is_our_fault(
    new_agent: Callable[[], Agent], server: FakeServer, offer: Callable[..., str]
) -> None:
    new_agent().run_batch(offer(None, gpus=1))
    assert server.reports[0]["fault"]["code"] == "no_gpu_runtime"


def test_an_image_is_fetched_and_loaded_by_its_id(
    new_agent: Callable[[], Agent],
    server: FakeServer,
    engine: Engine,
    docker_client: docker.APIClient,
    tmp_path: Path,
) -> None:
    tag = f"uploaded-{uuid.uuid4().hex[:12]}"
    _, layer = holder.archive("unused")
    docker_client.import_image_from_data(
        layer, repository=baseimage.REPOSITORY, tag=tag, changes=['ENTRYPOINT ["not-there"]']
    )
    upload = tmp_path / "upload.tar"
    upload.write_bytes(b"".join(docker_client.get_image(f"{baseimage.REPOSITORY}:{tag}")))
    docker_client.remove_image(f"{baseimage.REPOSITORY}:{tag}")
    checked = check_archive(upload, tmp_path / "rebuilt.tar", limits=ArchiveLimits())
    order = order_json(None, image=checked.image_id)
    order["image"] |= {"blob": server.put_blob((tmp_path / "rebuilt.tar").read_bytes()), "size": checked.size}
    assert not engine.has_image(checked.image_id)
    new_agent().run_batch(server.offer(order))
    assert [outcomes(report) for report in server.reports] == [["could_not_start"]]
    assert engine.has_image(checked.image_id)


def test_an_image_that_the_engine_cannot_unpack_is_reported_as_unusable_and_leaves_nothing(
    new_agent: Callable[[], Agent], server: FakeServer, engine: Engine, host_settings: Settings, tmp_path: Path
) -> None:
    bad = entry("file", data=uuid.uuid4().bytes, pax_headers={"SCHILY.xattr.security.capability": "bad"})
    upload = tmp_path / "upload.tar"
    upload.write_bytes(Image([layer_of(bad)]).saved())
    checked = check_archive(upload, tmp_path / "rebuilt.tar")
    order = order_json(None, None, image=checked.image_id)
    order["image"] |= {"blob": server.put_blob((tmp_path / "rebuilt.tar").read_bytes()), "size": checked.size}
    new_agent().run_batch(server.offer(order))
    (report,) = server.reports
    assert (report["rejected"], report["fault"]) == ("not_unpackable", None)
    assert outcomes(report) == ["untouched", "untouched"]
    assert not engine.has_image(checked.image_id)
    assert list((host_settings.state_dir / "cache" / "blobs").iterdir()) == []


# --- Disk space ---------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 512 MiB for the worker's state, of which the cache leaves 256 alone."""
    if os.geteuid() != 0:
        pytest.skip("mounts a small file system")
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(disk: Path, *, leaving: int) -> None:
    with (disk / "ballast").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(disk).free - leaving)


def test_a_host_short_of_room_begins_nothing_says_so_and_goes_on_when_there_is_room(
    small_disk: Path, new_agent: Callable[..., Agent], server: FakeServer, offer: Callable[..., str]
) -> None:
    limits = ImageCacheLimits(count=50, days=30, free_bytes=400 << 20)
    agent = new_agent(state_dir=small_disk / "state", images=limits)
    agent.run_batch(offer(None))
    fill(small_disk, leaving=390 << 20)
    refused = offer(None)
    agent.run_batch(refused)
    assert refused not in server.claims
    again = new_agent(state_dir=small_disk / "state", images=limits)
    wait_until(lambda: server.hellos[-1]["slots"] == [])
    assert "short of disk space" in server.hellos[-1]["trouble"]
    (small_disk / "ballast").unlink()
    again.run_batch(refused)
    assert len(server.reports) == 2


def test_what_runs_goes_on_while_the_disk_has_no_room_for_more(
    small_disk: Path, new_agent: Callable[..., Agent], server: FakeServer, offer: Callable[..., str]
) -> None:
    agent = new_agent(state_dir=small_disk / "state", images=ImageCacheLimits(count=50, days=30, free_bytes=400 << 20))
    batch = offer(SLOW + "finish(name)", SLOW + "finish(name)")
    message = threading.Thread(target=agent.run_batch, args=[batch])
    message.start()
    wait_until(lambda: 1 in server.beats)
    fill(small_disk, leaving=300 << 20)
    message.join()
    assert [outcomes(report) for report in server.reports] == [["finished", "finished"]]


def test_an_image_makes_room_for_the_next_on_a_host_that_keeps_one(
    new_agent: Callable[..., Agent], server: FakeServer, engine: Engine, tmp_path: Path
) -> None:
    agent = new_agent(images=ImageCacheLimits(count=1, days=30, free_bytes=1 << 20))
    images = []
    for number in range(3):
        folder = tmp_path / str(number)
        folder.mkdir()
        image = checked(folder, Image([unique_layer()], {"Entrypoint": ["not-there"]}).saved())
        order = order_json(None, image=image.image_id)
        order["image"] |= {"blob": server.put_blob((folder / "rebuilt.tar").read_bytes()), "size": image.size}
        agent.run_batch(server.offer(order))
        images.append(image.image_id)
    assert {reason for report in server.reports for reason in outcomes(report)} == {"could_not_start"}
    agent.run_batch(server.offer(order_json(None, image=images[2])))
    assert [engine.has_image(image) for image in images] == [False, False, True]
