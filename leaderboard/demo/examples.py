"""A handful of example cases, as a file to keep: made-up CTs on which a team tries its container and the scorer.

They lie as the container finds them (`input/cases.json`, `input/images/`), with the masks and the dataset.json that the
scorer wants beside them, and the two commands in words. Nobody has to sign in for them: no patient ever was.
"""

import io
import json
import tempfile
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from containers.protocol import contract

CASES, SHAPE, SPACING_MM, SEED, SPLIT = 4, (96, 96, 48), (3.5, 3.5, 6.0), 11, "examples"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that the format knows: the same files make the same archive
README = f"""# Example cases of the ReXGrounding Challenge

{CASES} made-up CTs with findings in words, small enough to try things out. They look like chest CTs to a program and to
nobody else: use them to see that your container runs and that its masks can be scored, not to train or to tune.

    input/cases.json    what the container gets, beside
    input/images/       the CTs that it names
    masks/              the reference masks
    dataset.json        what the scorer wants to know of the cases

Run your container as the server does:

    mkdir -p output && chmod 777 output
    docker run --rm --network none --read-only --tmpfs /tmp:exec --user 65000:65000 \\
        --cap-drop ALL --security-opt no-new-privileges --memory 16g \\
        -v "$PWD/input:{contract.INPUT_DIR}:ro" -v "$PWD/output:{contract.OUTPUT_DIR}" my-algorithm

Score what it wrote, with the scorer that the site offers (unpacked beside this folder, and installed as it says):

    ../rexgrounding-scorer/venv/bin/rexg score --gt_dir masks --pred_dir output \\
        --ct_dir input/images --dataset_json dataset.json --output_json scores.json
"""


@require_safe
def examples(_request: HttpRequest) -> HttpResponse:
    """The example cases, as a zip."""
    headers = {"Content-Disposition": 'attachment; filename="rexgrounding-examples.zip"'}
    return HttpResponse(_archive(), content_type="application/zip", headers=headers)


@cache
def _archive() -> bytes:
    packed = io.BytesIO()
    with tempfile.TemporaryDirectory() as made, zipfile.ZipFile(packed, "w") as archive:
        for name, content in _files(Path(made)).items():
            entry = zipfile.ZipInfo(f"rexgrounding-examples/{name}", _EPOCH)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)  # not deflated: nearly all of it is
    return packed.getvalue()


def _files(folder: Path) -> dict[str, bytes]:
    # Not above: it loads what measures masks, which no process should pay for as it starts.
    from leaderboard.demo.synthesis import generate

    dataset = generate(folder, cases=CASES, shape=SHAPE, spacing_mm=SPACING_MM, seed=SEED, split=SPLIT)
    entries = json.loads(dataset.read_text(encoding="utf-8"))[SPLIT]
    listed = [_as_container_gets_it(entry) for entry in entries]
    images = f"input/{contract.IMAGES_DIR}"
    return {
        "README.md": README.encode(),
        "dataset.json": dataset.read_bytes(),
        f"input/{contract.CASES_FILE}": json.dumps(listed, indent=1).encode() + b"\n",
        **{f"{images}/{path.name}": path.read_bytes() for path in sorted((folder / "images").iterdir())},
        **{f"masks/{path.name}": path.read_bytes() for path in sorted((folder / "masks").iterdir())},
    }


def _as_container_gets_it(entry: dict[str, Any]) -> dict[str, Any]:
    """As hosts/orders.py writes it: words and geometry, no masks' facts."""
    return {**{name: entry[name] for name in ("name", "findings", "shape")}, "spacing": list(SPACING_MM)}
