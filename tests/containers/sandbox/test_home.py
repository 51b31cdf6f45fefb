"""Images as teams build them: what their home holds is found, and their programs may write there."""

import json
import sys
from collections.abc import Callable

import pytest

from tests.containers.conftest import LIMITS, Sandbox, statuses
from tests.containers.intake.build import entry, folder, layer_of, link

pytestmark = pytest.mark.engine

Derive = Callable[..., str]

SITE = f"home/user/.local/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
USER = "ENV HOME=/home/user\nUSER user\n"


def test_packages_of_the_user_are_imported(sandbox: Sandbox, derived_image: Derive) -> None:
    """The Grand Challenge template: `pip install --user` as the image's own user."""
    layer = layer_of(
        entry(f"{SITE}/medicine/__init__.py", data=b"from medicine.core import answer\n", mode=0o644, uid=1000),
        entry(f"{SITE}/medicine/core.py", data=b"answer = 'imported'\n" + b"#" * 100_000, mode=0o644, uid=1000),
    )
    image = derived_image(USER, layer)
    assert sandbox.ask("from medicine import answer", image=image) == "imported"


def test_weights_in_the_home_are_found_by_way_of_the_home(sandbox: Sandbox, derived_image: Derive) -> None:
    """More of them than the container may have of memory: they are never copied."""
    weights = b"w" * (2 * LIMITS["tmp_bytes"])
    layer = layer_of(
        entry("root/.cache/torch/hub/checkpoints/weights.pt", data=weights, mode=0o644),
        entry("root/.cache/huggingface/hub/models--m/blobs/abc", data=weights, mode=0o644),
        link("root/.cache/huggingface/hub/models--m/snapshots/1/model.bin", "../../blobs/abc"),
    )
    answer = sandbox.ask(
        "home = pathlib.Path.home() / '.cache'\n"
        "torch = (home / 'torch/hub/checkpoints/weights.pt').stat().st_size\n"
        "model = (home / 'huggingface/hub/models--m/snapshots/1/model.bin').stat().st_size\n"
        "(home / 'huggingface/hub/.locks').mkdir()\n"
        "used = os.statvfs('/tmp'); used = (used.f_blocks - used.f_bfree) * used.f_frsize\n"
        "answer = json.dumps([torch, model, used, os.environ.get('XDG_CACHE_HOME')])",
        image=derived_image("", layer),
    )
    torch, model, used, moved = json.loads(answer)
    assert (torch, model, moved) == (len(weights), len(weights), None)
    assert used < 1 << 20


def test_a_program_rewrites_its_settings_below_the_home(sandbox: Sandbox, derived_image: Derive) -> None:
    """As TotalSegmentator does at each prediction; its folder is named by a variable as well."""
    layer = layer_of(entry("root/.totalsegmentator/config.json", data=b'{"count": 1}', mode=0o644))
    answer = sandbox.ask(
        "path = pathlib.Path.home() / '.totalsegmentator/config.json'\n"
        "settings = json.loads(path.read_text()); settings['count'] += 1\n"
        "path.write_text(json.dumps(settings))\n"
        "(pathlib.Path.home() / '.nv/ComputeCache').mkdir(parents=True)\n"
        "answer = pathlib.Path(os.environ['TOTALSEG_HOME_DIR'], 'config.json').read_text()",
        image=derived_image("ENV TOTALSEG_HOME_DIR=/root/.totalsegmentator", layer),
    )
    assert json.loads(answer) == {"count": 2}


def test_a_home_is_bounded_as_the_scratch_folder_is(sandbox: Sandbox) -> None:
    report = sandbox.run("(pathlib.Path.home() / 'x').write_bytes(b'x' * (17 << 20))")
    assert statuses(report) == [("failed", "crashed")]
    assert "No space left on device" in report.log or "File too large" in report.log


def test_each_container_begins_with_the_images_home(sandbox: Sandbox) -> None:
    program = "path = pathlib.Path.home() / 'x'; answer = path.exists(); path.touch()"
    assert [sandbox.ask(program), sandbox.ask(program)] == ["False", "False"]


@pytest.mark.parametrize(("dockerfile", "name"), [("", "user"), ("USER algorithm", "algorithm"), ("USER 1000", "user")])
def test_the_user_has_a_name_a_group_and_a_home(
    sandbox: Sandbox, derived_image: Derive, dockerfile: str, name: str
) -> None:
    """PyTorch's inductor asks for the name; there need be no entry for the user in the image."""
    answer = sandbox.ask(
        "import getpass, pwd, grp\n"
        "by_variable = getpass.getuser()\n"
        "for variable in ('LOGNAME', 'USER', 'LNAME', 'USERNAME'): os.environ.pop(variable, None)\n"
        "account = pwd.getpwuid(os.getuid())\n"
        "answer = json.dumps([by_variable, getpass.getuser(), account.pw_dir, grp.getgrgid(os.getgid()).gr_name,\n"
        "                     os.path.expanduser('~'), os.path.expanduser('~' + account.pw_name)])",
        image=derived_image(dockerfile) if dockerfile else sandbox.image,
    )
    assert json.loads(answer) == [name, name, "/tmp/home", name, "/tmp/home", "/tmp/home"]


def test_the_walls_stand_as_before(sandbox: Sandbox, derived_image: Derive) -> None:
    """The image's root, its accounts and our launcher cannot be written, and the user is the slot's, whatever it is."""
    layer = layer_of(folder("home/user"), entry("etc/passwd", data=b"root:x:0:0::/root:/bin/sh\n", mode=0o666))
    answer = sandbox.ask(
        "refused = []\n"
        "for path in ('/home/user/x', '/etc/passwd', '/etc/group', '/.rexgrounding/launcher', '/.rexgrounding/x'):\n"
        "    try: open(path, 'w')\n"
        "    except OSError: refused.append(path)\n"
        "status = pathlib.Path('/proc/self/status').read_text()\n"
        "capabilities = [line.split()[1] for line in status.splitlines() if line.startswith(('CapEff', 'CapBnd'))]\n"
        "answer = json.dumps([len(refused), os.getuid(), capabilities])",
        image=derived_image(USER, layer),
    )
    assert json.loads(answer) == [5, sandbox.slot.uid, ["0000000000000000"] * 2]


@pytest.mark.parametrize(
    "hostile",
    [
        [entry("etc/passwd/x", data=b"")],
        [entry(".rexgrounding", data=b"")],
        [link(".rexgrounding", "/proc/1")],
        [folder(".rexgrounding/launcher")],
        [entry("root", data=b"no folder", mode=0o644)],
    ],
    ids=[
        "passwd is a folder",
        "no folder for the launcher",
        "a link to proc",
        "launcher is a folder",
        "home is a file",
    ],
)
def test_what_an_image_has_in_place_of_ours_costs_it_alone(
    sandbox: Sandbox, derived_image: Derive, hostile: list[object]
) -> None:
    report = sandbox.run(None, image=derived_image("", layer_of(*hostile)))  # type: ignore[arg-type]
    assert report.fault is None, report.fault
    assert statuses(report) in ([("failed", "could_not_start")], [("finished", None)])


def test_the_threads_of_a_library_are_those_of_the_limit(sandbox: Sandbox, derived_image: Derive) -> None:
    program = "answer = os.environ['OMP_NUM_THREADS']"
    assert sandbox.ask(program, cpus=1) == "1"
    assert sandbox.ask(program, cpus=1, image=derived_image("ENV OMP_NUM_THREADS=3")) == "3"
