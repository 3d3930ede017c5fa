"""Bytes become documents without losing a digit, or an error that says what to do."""

import bz2
import gzip
import json
import lzma
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import errors
from shared.payload import body as payload
from shared.payload.body import Number

MAX_BYTES = 1_048_576
EVENT = {"machineId": "a", "list": [1, {"deep": None}], "text": "é😀"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def read(body: bytes, content_encoding: str = "") -> list[Any]:
    """Read a body with the usual limit."""
    return payload.read(body, max_bytes=MAX_BYTES, content_encoding=content_encoding)


def raw_deflate(body: bytes) -> bytes:
    """Compress as some senders do that call it deflate: without zlib's header."""
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(body) + stream.flush()


def zipped(body: bytes) -> bytes:
    """Compress with gzip, to the same bytes whenever the tests are collected."""
    return gzip.compress(body, mtime=0)


def as_json(value: Any) -> Any:
    """Turn what we read back into what Python's own decoder would have given."""
    if isinstance(value, Number):
        return json.loads(value)
    if isinstance(value, dict):
        return {name: as_json(inner) for name, inner in value.items()}
    return [as_json(inner) for inner in value] if isinstance(value, list) else value


@given(st.binary() | st.text().map(str.encode) | st.text(alphabet='{}[]":,1e.-\\u NaN&=json').map(str.encode))
def test_any_bytes_are_documents_or_a_payload_error(body: bytes) -> None:
    """Whatever is posted, reading it gives documents or a `PayloadError` with a reason, nothing else."""
    try:
        documents = read(body)
    except errors.PayloadError as error:
        detail = error.detail
    else:
        detail = f"{len(documents)} documents" if documents else ""
    assert detail.encode()


@given(JSON, st.booleans(), st.booleans())
def test_any_json_is_read_as_it_is(value: Any, ascii_only: bool, bom: bool) -> None:
    """Valid JSON gives the value that any decoder gives, escaped or not, with BOM or without."""
    body = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8-sig" if bom else "utf-8")
    [document] = read(body)
    assert as_json(document) == value


@given(st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,4})?", fullmatch=True))
def test_numbers_keep_every_digit(number: str) -> None:
    """A number is the text it was written as, and differs from text in quotes."""
    [document] = read(f'{{"number": {number}, "text": "{number}"}}'.encode())
    assert document == {"number": number, "text": number}
    assert type(document["number"]) is Number
    assert type(document["text"]) is str


@pytest.mark.parametrize("gap", ["", "\n", "\r\n", " ,\n", "\x1e"])
def test_several_documents_in_one_body(gap: str) -> None:
    """Objects in a row, one a line, or with commas between and after them are as many documents."""
    body = gap.join(['{"a": 1}', '[{"b": 2}]', '{"c": 3}', ""])
    assert as_json(read(body.encode())) == [{"a": 1}, [{"b": 2}], {"c": 3}]


@pytest.mark.parametrize("body", ["[1, 2, ]", '{"a": [1, 2,],}', '{"a": ",]"},'])
def test_a_comma_too_many_is_forgiven(body: str) -> None:
    """A comma before a closing bracket or the end, as template loops leave it, is no reason to refuse."""
    assert read(body.encode())


def test_a_repaired_comma_leaves_text_alone() -> None:
    """Repairing commas does not touch what only looks like one inside a string."""
    assert read(b'{"a": ",]", "b": "\\",}",}') == [{"a": ",]", "b": '",}'}]


@pytest.mark.parametrize("field", ["json", "payload"])
@pytest.mark.parametrize("around", ["{}", "code=1&{}", "{}&channel=%23soc", "a=b&c=&{}"])
def test_a_form_field_is_the_body(field: str, around: str) -> None:
    """A form's field json or payload is read, whatever fields stand beside it."""
    form = around.format(f"{field}={quote_plus(json.dumps(EVENT))}")
    assert as_json(read(form.encode())) == [EVENT]


@pytest.mark.parametrize("field", ["json", "payload", "body", "data", "event"])
def test_json_in_a_field_goes_before_the_fields(field: str) -> None:
    """Under any of the usual names, JSON is the event, whatever else the form says."""
    form = urlencode({"title": "a", field: json.dumps(EVENT), "severity": "High"})
    assert as_json(read(form.encode())) == [EVENT]


NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.]{0,9}(\[[a-z]{1,5}\])?", fullmatch=True)
RESERVED = {"json", "payload", "body", "data", "event"}
FORMS = st.dictionaries(
    NAMES.filter(lambda name: name not in RESERVED),
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=9).filter(str.strip),
    min_size=2,
)


@given(FORMS, st.sampled_from(["{}", " {}\r\n", "{}&", "&a=&{}"]))
def test_a_form_of_fields_is_an_object(fields: dict[str, str], around: str) -> None:
    """Several pairs of name and value, percent-encoded, are the event's fields, whatever the content type says."""
    form = around.format(urlencode(fields)) if not around.startswith("&") else urlencode(fields) + "&"
    assert read(form.encode()) == [fields]


def test_forms_as_they_are_written_by_hand() -> None:
    """Blanks need no encoding, brackets in names neither; a name that is there twice has a list."""
    assert read(b"title=LSASS was read&event[id]=1&x=") == [{"title": "LSASS was read", "event[id]": "1"}]
    assert read(b"tag=a&tag=b&t=1%2B1") == [{"tag": ["a", "b"], "t": "1+1"}]
    assert read(b"data=5&severity=High") == [{"data": "5", "severity": "High"}]


@pytest.mark.parametrize("level", range(10))
@pytest.mark.parametrize(
    "declared", ["", "gzip", "deflate", "x-gzip", "identity", "GZIP", "utf-8", "deflate, gzip"]
)
def test_gzip_and_deflate_are_opened_whatever_is_declared(level: int, declared: str) -> None:
    """The first bytes say what it is; a header that is wrong, or missing, does no harm."""
    body = json.dumps(EVENT).encode()
    for compressed in (gzip.compress(body, level), zlib.compress(body, level)):
        assert as_json(read(compressed, declared)) == [EVENT]
    assert as_json(read(body, declared)) == [EVENT]
    assert as_json(read(gzip.compress(body[:9], level) + gzip.compress(body[9:], level), declared)) == [EVENT]
    assert as_json(read(gzip.compress(zlib.compress(body, level)), declared)) == [EVENT]


@given(JSON, st.sampled_from([8, 9, 12, 15]))
def test_deflate_of_any_kind_is_opened(value: Any, window: int) -> None:
    """With zlib's header in any window size; without it, where `Content-Encoding` says deflate."""
    body = json.dumps([value]).encode()
    stream = zlib.compressobj(wbits=window if window > 8 else 9)
    for compressed in (stream.compress(body) + stream.flush(), raw_deflate(body)):
        assert as_json(read(compressed, "deflate")) == [[value]]


@pytest.mark.parametrize(
    ("body", "declared", "expected"),
    [
        (b"\x0b\x02\x80{}\x03", "br", "br (Brotli)"),
        (b"\x28\xb5\x2f\xfd\x04\x00\x11", "", "zstd"),
        (b"\x04\x22\x4d\x18\x60\x40\x82", "", "lz4"),
        (b"\x1f\x9d\x90\x7b", "", "compress"),
        (b"PK\x03\x04\x14\x00", "", "zip"),
        (bz2.compress(b"{}"), "", "bzip2"),
        (bz2.compress(b""), "", "bzip2"),
        (lzma.compress(b"{}"), "", "xz"),
        (zipped(lzma.compress(b"{}")), "gzip", "xz"),
        (b"\xff\x06\x00\x00sNaPpY", "", "snappy"),
        (b"\xb5\x00\x02", "zstd", "zstd"),
        (zipped(b'{"a": 1}')[:-9], "", "ends in the middle of the data compressed with gzip"),
        (zlib.compress(b'{"a": 1}')[:-3], "", "ends in the middle of the data compressed with deflate"),
        (zipped(b"{}")[:10] + b"\xff" * 20, "", "compressed with gzip but is damaged"),
        (zipped(b"{}") + b"{}", "", "compressed with gzip but is damaged"),
        (zipped(b"") * 17, "", "more than 16 streams"),
        (zipped(zipped(zipped(zipped(b"{}")))), "", "compressed several times"),
        (raw_deflate(b'{"a": 1}' * 9), "", "compressed, encrypted or in a binary format"),
        (b"\x93\xa1a\x01", "", "compressed, encrypted or in a binary format"),
    ],
)
def test_what_cannot_be_opened_is_named(body: bytes, declared: str, expected: str) -> None:
    """What it is compressed with, or that it is no text, and what to do; never that it is an encoding of text."""
    with pytest.raises(errors.PayloadError) as refused:
        read(body, declared)
    assert expected in refused.value.detail
    assert "compressed" in refused.value.detail
    assert "Windows-1252" not in refused.value.detail
    assert refused.value.status == 400


@pytest.mark.parametrize(
    "compress", [gzip.compress, zlib.compress, raw_deflate, lambda body: gzip.compress(body) * 9]
)
def test_a_bomb_costs_nothing(compress: Callable[[bytes], bytes]) -> None:
    """What opens to more than is taken is refused as too large, and is not opened any further."""
    bomb = compress(b" " * 40 * MAX_BYTES)
    assert len(bomb) < MAX_BYTES
    tracemalloc.start()
    try:
        with pytest.raises(errors.PayloadTooLarge, match="more than 1,048,576 bytes"):
            read(bomb, "deflate")
        assert tracemalloc.get_traced_memory()[1] < 6 * MAX_BYTES
    finally:
        tracemalloc.stop()
    assert as_json(read(compress(b" " * (MAX_BYTES // 9 - 2) + b"{}"), "deflate"))


@given(
    st.binary(max_size=200),
    st.sampled_from(["", "gzip", "deflate", "br", "gzip, br", "x", ",,"]),
    st.booleans(),
)
def test_any_compressed_bytes_are_documents_or_a_payload_error(
    body: bytes, declared: str, begin: bool
) -> None:
    """Whatever is declared and whatever the bytes, there is an answer with a reason."""
    try:
        assert read((b"\x1f\x8b\x08\x00" if begin else b"") + body, declared)
    except errors.PayloadError as error:
        assert error.detail.encode()  # noqa: PT017  # the other end of the same property


def test_equal_duplicates_are_one_key() -> None:
    """A key that is there twice with the same value is no contradiction."""
    assert read(b'{"a": {"b": 1}, "a": {"b": 1}}') == [{"a": {"b": "1"}}]


def test_raw_control_characters_in_strings_are_taken() -> None:
    """A line break that a template put into a string unescaped is read as what was meant."""
    assert read(b'{"a": "one\ntwo\tthree"}') == [{"a": "one\ntwo\tthree"}]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", "empty"),
        (b" \r\n", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"json=", "empty"),
        (b'{"a": 1', "cut off"),
        (b'{"a": "text', "cut off"),
        (b'{"a": [1, 2', "cut off"),
        (b'{"a": "\xc3', "cut off"),
        (b'{"a" 1}', "line 1, column 6"),
        (b'{\n"a": 1,\n"b": x}', "line 3, column 6"),
        (b"{'a': 1}", "double quotes"),
        (b"'a'", "double quotes"),
        (b"hello", "not JSON"),
        (b"1 2", "not JSON"),
        (b'{"a": 1, "a": 2}', '"a" occurs twice'),
        (b'{"x": [{"a": 1, "a": "1"}]}', '"a" occurs twice'),
        (b'{"text": "NaN",\n"value": NaN}', "NaN at line 2, column 10"),
        (b"[-Infinity]", "-Infinity at line 1"),
        (b'{"a": "\\ud83d"}', 'Near the key "a"'),
        (b'{"\\udead": 1}', "surrogate"),
        (b"[" * 65 + b"]" * 65, "64 levels"),
        (b"[" * 100_000, "64 levels"),
        (b'{"a":' * 100_000, "64 levels"),
        ('{"a": "é"}'.encode("latin-1"), "0xE9 at line 1, column 8 looks like Windows-1252"),
        ('{"a": "€"}'.encode("cp1252"), "PowerShell"),
        ('{"a": "é"}'.encode("utf-16"), "UTF-16"),
        ('{"a": "é"}'.encode("utf-16-le"), "UTF-16"),
        ('{"a": "é"}'.encode("utf-16-be"), "UTF-16"),
        ('{"a": "é"}'.encode("utf-32"), "UTF-32"),
        (b"json=%7B%22a%22%3A%22%E9%22%7D", "UTF-8"),
        (b"a=1", "looks like a form or a log line"),
        (b"ts=2026 level=high msg=a&b=c", "looks like a form or a log line"),
        (b"data=5", "looks like a form"),
        (b"&".join(b"a=%d" % number for number in range(1001)) + b"&json={}", "more than 1,000 fields"),
        (b"<alert/>", "XML"),
        (b"<14>Nov 23 host app: text", "syslog"),
        (b"CEF:0|Vendor|Product|1|1|Name|5|", "CEF"),
        (b'--x\r\nContent-Disposition: form-data; name="json"\r\n\r\n{}\r\n--x--', "multipart"),
        (
            b'----b1\ncontent-disposition: form-data; name="f"; filename="a"\n\n\xff\x00\n----b1--',
            "multipart",
        ),
    ],
)
def test_what_is_no_json_is_reported(body: bytes, expected: str) -> None:
    """A body that cannot be read says what it is, where, or what to do."""
    with pytest.raises(errors.PayloadError) as refused:
        read(body)
    assert expected in refused.value.detail
    assert refused.value.status == 400


@pytest.mark.parametrize("body", [b" " * (MAX_BYTES + 1), b"{}" * (payload.MAX_DOCUMENTS + 1)])
def test_too_much_is_413(body: bytes) -> None:
    """A byte or a document above the limit is refused as too large."""
    with pytest.raises(errors.PayloadTooLarge):
        read(body)


def test_depth_is_bounded_exactly() -> None:
    """64 levels are read, whatever stands on the stack; a whole emoji written as escapes is no half."""
    assert read(b"[" * 64 + b'"\\ud83d\\ude00"' + b"]" * 64)
    with pytest.raises(errors.PayloadError, match="more than 64 levels"):
        read(b"[" * 65 + b"]" * 65)


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": "' + b"[{" * 40 + b'"}',
        b'{"a": "\\"' + b"[" * 70 + b'"}',
        b'{"' + b"{" * 70 + b'": 1}',
        b"[{}]" * 70,
    ],
    ids=["in a text", "after a quotation mark", "in a key", "beside each other"],
)
def test_only_real_depth_counts(body: bytes) -> None:
    """Brackets within strings are text, and what is closed is no level."""
    assert read(body)


@given(JSON)
def test_json_in_strings_is_parsed_the_same_way(value: Any) -> None:
    """`parse` gives the value inside a string, or None where there is no single valid one."""
    text = json.dumps(value)
    assert as_json(payload.parse(text)) == value
    assert payload.parse(text + " x") is None
    assert payload.parse("") is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('<13>Jul 19 host x: {"a": 1} and so on', {"a": "1"}),
        ('{a} {"b": {"c": 2}}', {"b": {"c": "2"}}),
        ("{ { { " + '{"a": 1}', None),
        ("no braces", None),
        ("{" * 100_000, None),
    ],
)
def test_json_within_a_text_is_found(text: str, value: Any) -> None:
    """The first object of a log line, with what stands before and behind it; a few braces are tried, no more."""
    assert payload.embedded(text) == value
