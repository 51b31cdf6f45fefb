"""Files that are no masks are called what they are, whatever their name says."""

import bz2
import gzip
import io
import json
import lzma
import pickle
import tarfile
import zipfile
import zlib

import numpy as np
import pytest
import SimpleITK

from evaluation.errors import InvalidMask, MaskProblem, mask_problem
from evaluation.masks.nifti import NiftiStream
from tests.evaluation import builders

SECRET = "confidential"
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'ab' * 32}\nsize 2048576\n"
PAGE = f"<html><head><title>{SECRET}</title></head><body>Sign in</body></html>"
ARRAY = np.ones((1, 2, 3, 4), np.uint8)


def saved(save, *arguments):
    stream = io.BytesIO()
    save(stream, *arguments)
    return stream.getvalue()


def zipped(name):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, SECRET)
    return stream.getvalue()


def tarred():
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(f"{SECRET}.nii.gz"), io.BytesIO())
    return stream.getvalue()


def by_simpleitk(tmp_path, ending):
    path = tmp_path / f"image{ending}"
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(ARRAY[0]), path)
    return path.read_bytes()


KINDS = {
    "a pointer of Git LFS": (POINTER.encode(), "a Git LFS pointer; fetch the file that it stands for: git lfs pull"),
    "a web page": (PAGE.encode(), "a web page: the download went wrong"),
    "a web page in capitals": (f"<!DOCTYPE HTML>{PAGE}".encode(), "a web page"),
    "a web page behind empty lines": (f"\r\n\r\n  \t{PAGE}".encode(), "a web page"),
    "a web page with a byte order mark": (b"\xef\xbb\xbf" + PAGE.encode(), "a web page"),
    "the answer of a store": (
        b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>",
        "XML, such as the error",
    ),
    "a zip": (zipped(f"{SECRET}.nii.gz"), "a zip archive; unpack it"),
    "an empty zip": (saved(lambda stream: zipfile.ZipFile(stream, "w").close()), "a zip archive"),
    "an array": (saved(np.save, ARRAY), "a NumPy array (.npy); save the mask as .nii.gz"),
    "arrays": (saved(np.savez, ARRAY), "a NumPy archive (.npz)"),
    "compressed arrays": (saved(np.savez_compressed, ARRAY), "a NumPy archive (.npz)"),
    "what PyTorch saves": (zipped("mask/data.pkl"), "a PyTorch file"),
    "a tar": (tarred(), "a tar archive; unpack it"),
    "DICOM": (bytes(128) + b"DICM\2\0\0\0UL", "a DICOM file"),
    "a pickle": (pickle.dumps({"mask": SECRET}), "a Python pickle"),
    "JSON": (json.dumps({"mask": SECRET}).encode(), "JSON; save the mask as .nii.gz"),
    "a JSON list": (b" \n[1, 2]", "JSON"),
    "HDF5": (b"\x89HDF\r\n\x1a\n\0\0", "an HDF5 file"),
    "a picture": (b"\x89PNG\r\n\x1a\n\0", "a PNG picture"),
    "bzip2": (bz2.compress(b"mask"), "compressed with bzip2; compress it with gzip"),
    "xz": (lzma.compress(b"mask"), "compressed with xz"),
    "zlib": (zlib.compress(b"mask" * 9), "compressed with zlib, not gzip"),
    "a message": (f"rsync: {SECRET}: Permission denied (13)\n".encode(), "a text file, such as an error message"),
    "a message in Greek that is cut off": ("μήνυμα\n".encode() * 99 + b"\xce", "a text file"),
    "zeros": (bytes(4096), "nothing but zeros at its beginning"),
}


def reason(path):
    with pytest.raises(InvalidMask) as refused, NiftiStream(path):
        pass
    return str(refused.value)


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_called_what_it_is_and_nothing_of_it_is_repeated(tmp_path, kind, compress):
    content, words = KINDS[kind]
    path = tmp_path / "mask.nii.gz"
    path.write_bytes(gzip.compress(content) if compress else content)
    said = reason(path)
    assert said.startswith(f"not a NIfTI file but {words}")
    assert SECRET not in said
    assert said.isprintable()
    assert mask_problem(said) is MaskProblem.FILE


@pytest.mark.parametrize(("ending", "words"), [(".nrrd", "an NRRD file"), (".mha", "a MetaImage (.mha, .mhd)")])
def test_what_other_programs_write_is_called_what_it_is(tmp_path, ending, words):
    path = tmp_path / "mask.nii.gz"
    path.write_bytes(by_simpleitk(tmp_path, ending))
    assert reason(path).startswith(f"not a NIfTI file but {words}; save the mask as .nii.gz")


@pytest.mark.parametrize("content", [b"\x01\x02\x03\x04" * 99, b"abc\x00\xff", b"\xff\xfe\xfd\xfc", b"\x80\x01ab"])
def test_what_is_not_known_is_not_guessed(tmp_path, content):
    path = tmp_path / "mask.nii.gz"
    path.write_bytes(content)
    assert reason(path) == "not a NIfTI file"


def test_a_page_whose_compressed_form_is_cut_off_is_still_a_page(tmp_path):
    path = tmp_path / "mask.nii.gz"
    noise = np.random.default_rng(1).integers(97, 123, 3 << 20, np.uint8).tobytes()
    path.write_bytes(gzip.compress(PAGE.encode() + noise, 1)[: 1 << 20])
    assert reason(path).startswith("not a NIfTI file but a web page")


def test_an_empty_file_and_a_folder_are_called_so(tmp_path):
    (tmp_path / "empty.nii.gz").touch()
    (tmp_path / "folder.nii.gz").mkdir()
    builders.write(tmp_path / "nothing.nii.gz", b"")
    assert reason(tmp_path / "empty.nii.gz") == reason(tmp_path / "nothing.nii.gz") == "the file is empty"
    assert reason(tmp_path / "folder.nii.gz") == "a folder, not a file"
