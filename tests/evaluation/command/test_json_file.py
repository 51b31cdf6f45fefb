"""A broken dataset file: the place, what is expected there, and nothing that only some Pythons say."""

import gzip
import json

import pytest

from evaluation.command.json_file import JsonObject, read_json
from evaluation.errors import EvaluationError

EXPECTED = '{"<split>": [entry, ...]}'


@pytest.fixture
def said(tmp_path):
    """What is said of a file of some content, without its path."""

    def read(content):
        path = tmp_path / "dataset.json"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(EvaluationError) as refused:
            read_json(path, EXPECTED)
        return str(refused.value).replace(str(path), "FILE")

    return read


@pytest.mark.parametrize("content", ["", " \r\n\t", "\ufeff", "\0\0"])
def test_a_file_without_content_is_called_empty(said, content):
    assert said(content) == f"FILE is empty (line 1, column 1); expected {EXPECTED}"


BROKEN = {
    "a comma behind the last key": ('{"val": [\n  {"a": "x",}\n]}', (2, 12), '"}" without a comma before it'),
    "a comma behind the last entry": ('{"val": [1,\n2, \n]}', (2, 2), '"]" without a comma before it'),
    "a comma at the end of the file": ('{"val": []},', (1, 12), "expected the end of the file"),
    "two commas": ('{"a": 1,, "b": 2}', (1, 9), "a key in double quotes"),
    "a comment behind a value": ('{"val": [ // all\n1]}', (1, 11), "a comment, of which JSON has none"),
    "a comment behind a comma": ('{"val": [], /* c */ "a": 1}', (1, 13), "a comment"),
    "a comment on a line of its own": ('{\n  # cases\n"val": []}', (2, 3), "take the comment out"),
    "single quotes": ("{'val': []}", (1, 2), 'expected a double quote (")'),
    "a key without quotes": ("{val: []}", (1, 2), "expected a key in double quotes"),
    "None of Python": ('{"val": None}', (1, 9), "expected null"),
    "True of Python": ('{"val": [True]}', (1, 10), "expected true"),
    "a backslash": ('{"seg_path": "C:\\masks"}', (1, 17), "a backslash in a text"),
    "a line break in a text": ('{"a": "b\nc"}', (1, 9), "a line break or tab inside a text"),
    "no closing quote": ('{"a": "b', (1, 7), 'expected a closing "'),
    "no comma": ('{"a": 1\n"b": 2}', (2, 1), "expected a comma or a closing bracket"),
    "no colon": ('{"a" 1}', (1, 6), "expected a colon"),
    "no value": ('{"a": }', (1, 7), "expected a value"),
    "the other bracket": ('{"a": [1}}', (1, 9), "expected a comma or a closing bracket"),
    "a file that was cut off": ('{"val": [{"name": "a"', (1, 22), 'expected a value, or "}]}" at the end'),
    "one value a line": ('{"name": "a"}\n{"name": "b"}', (2, 1), "JSONL"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_the_place_and_what_is_expected_there_are_said(said, what):
    content, (line, column), words = BROKEN[what]
    first, shown, mark = said(content).split("\n")
    assert first.startswith(f"FILE is not JSON: line {line}, column {column}: ")
    assert words in first
    text = content.split("\n")[line - 1]
    assert shown == f"  {text}"
    assert mark == " " * (column + 1) + "^"


def test_of_a_long_line_the_part_in_question_is_shown(said):
    _, shown, mark = said('{"val": [{"name": "' + "x" * 500 + '",}, ' + "y" * 500 + "]}").split("\n")
    assert len(shown) <= 74
    assert shown[mark.index("^")] == ","


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_text_that_is_not_utf_8_has_its_place_said(said, encoding):
    content = '{"val": [\n  {"é": "naïve"}]}'.replace("é", "e").encode(encoding)
    assert said(content).startswith("FILE is not UTF-8: line 2, column 12: the byte 0xef is expected to be UTF-8 text")
    assert "save it as UTF-8" in said(content)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_the_encodings_of_json_are_read(tmp_path, encoding):
    (tmp_path / "dataset.json").write_bytes('{"val": ["naïve"]}'.encode(encoding))
    assert read_json(tmp_path / "dataset.json", EXPECTED) == {"val": ["naïve"]}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<!doctype html><title>Sign in</title>", "not JSON but a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "not JSON but a Git LFS pointer"),
        (gzip.compress(b"{}"), "not JSON but a gzip file"),
        (b"PK\x03\x04" + bytes(26), "not JSON but a zip archive"),
        (b"name,finding\na,b\n", "not JSON but a text file"),
        ("[" * 100_000, "nested far too deeply"),
        ('{"a": 1' + "0" * 5000 + "}", "a number in it is far too long"),
    ],
)
def test_another_kind_of_file_is_called_what_it_is(said, content, words):
    assert words in said(content)


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(EvaluationError, match="cannot be read: No such file"):
        read_json(tmp_path / "nowhere.json", EXPECTED)


def test_repeated_keys_are_known_and_the_last_counts(tmp_path):
    (tmp_path / "dataset.json").write_text('{"val": {"0": 1, "0": 2, "1": 3}, "test": [], "val": {"1": 4}}')
    found = read_json(tmp_path / "dataset.json", EXPECTED)
    assert found == json.loads((tmp_path / "dataset.json").read_text())
    assert found.repeated == ("val",)
    (tmp_path / "dataset.json").write_text('{"val": {"0": 1, "0": 2, "1": 3}}')
    inner = read_json(tmp_path / "dataset.json", EXPECTED)["val"]
    assert isinstance(inner, JsonObject)
    assert (inner, inner.repeated) == ({"0": 2, "1": 3}, ("0",))
