"""Algorithm images for the journey's tests: the interpreter of the tests, and a few lines that a team could write."""

import json
import uuid
from pathlib import Path

import docker
from isal import igzip

from tests.containers import baseimage

# Marks a cube whose place follows from the case's content, so that a mask that ends up at another case shows in its
# score. A NIfTI header by hand: the image holds the standard library and nothing else.
PROGRAM = """
import gzip, hashlib, json, os, struct, time
for case in json.load(open("/input/cases.json")):
    volume = gzip.open("/input/images/" + case["name"]).read()
    {act}
    h, w, d = case["shape"]
    f = len(case["findings"])
    start = hashlib.sha256(volume).digest()[0] % 6
    mask = bytearray(f * h * w * d)
    for z in range(4, 9):
        for y in range(4, 9):
            for x in range(start, start + 6):
                mask[f * (x + h * (y + w * z))] = 1
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 4, f, h, w, d, 1, 1, 1)
    struct.pack_into("<2h", header, 70, 2, 8)
    struct.pack_into("<8f", header, 76, 1, 1, 1, 1, 1, 1, 1, 1)
    struct.pack_into("<f", header, 108, 352.0)
    header[344:348] = b"n+1" + bytes(1)
    temporary = "/output/" + case["name"] + ".part"
    with gzip.open(temporary, "wb") as stream:
        stream.write(bytes(header) + bytes(mask))
    os.rename(temporary, "/output/" + case["name"])
"""


def archive(client: docker.APIClient, base: str, act: str, path: Path) -> Path:
    """An image archive whose program does `act` (one Python statement) in the middle of each case."""
    tag = f"journey-{uuid.uuid4().hex[:8]}"
    program = PROGRAM.format(act=act)
    baseimage.derive(client, base, f'ENTRYPOINT ["python3", "-c", {json.dumps(program)}]', tag)
    name = f"{baseimage.REPOSITORY}:{tag}"
    try:
        with igzip.open(path, "wb", compresslevel=1) as output:
            for chunk in client.get_image(name):
                output.write(chunk)
    finally:
        client.remove_image(name, noprune=True)
    return path
