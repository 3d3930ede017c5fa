"""The transport of the table's client: what it reads of a transaction's answer is what the SDK reads."""

import concurrent.futures
import io
from types import SimpleNamespace
from typing import Any

import pytest
import requests
import urllib3
from azure.core.pipeline.transport import RequestsTransport
from azure.core.rest import HttpRequest
from hypothesis import given
from hypothesis import strategies as st

from shared.table.transport import Transport

ETAG = "W/\"datetime'2026-01-02T03%3A04%3A05.1234567Z'\""
PART = "Content-Type: application/http\nContent-Transfer-Encoding: binary\n\n"
DONE = "HTTP/1.1 204 No Content\nCache-Control: no-cache\nDataServiceVersion: 3.0;\n"
GONE = 'HTTP/1.1 404 Not Found\nContent-Type: application/json\n\n{"odata.error":{"code":"ResourceNotFound"}}'
WRITTEN = f"{PART}{DONE}ETag: {ETAG}\n\n\n"
DELETED = f"{PART}{DONE}\n\n"


def _body(*parts: str) -> bytes:
    """Return an answer to a transaction, as Azure Table Storage writes it."""
    inner = "".join(f"--changesetresponse_1\n{part}" for part in parts)
    whole = (
        "--batchresponse_2\nContent-Type: multipart/mixed; boundary=changesetresponse_1\n\n"
        f"{inner}--changesetresponse_1--\n--batchresponse_2--\n"
    )
    return whole.replace("\n", "\r\n").encode()


def _answer(kind: type[RequestsTransport], body: bytes, *, parts: int) -> Any:
    """Send a transaction of so many parts as the SDK does, to a table that answers so; return the answer."""

    def answered(*_: object, **__: object) -> requests.Response:
        answer = requests.Response()
        answer.status_code = 202
        answer.headers["Content-Type"] = "multipart/mixed; boundary=batchresponse_2"
        answer.raw = urllib3.HTTPResponse(io.BytesIO(body), preload_content=False)
        return answer

    changes = HttpRequest("POST", "")
    changes.set_multipart_mixed(*(HttpRequest("PUT", "http://127.0.0.1/t") for _ in range(parts)))
    request = HttpRequest("POST", "http://127.0.0.1/$batch")
    request.set_multipart_mixed(changes)
    session: Any = SimpleNamespace(request=answered, close=lambda: None)
    return kind(session=session, session_owner=False).send(request, stream=True)


def _parts(kind: type[RequestsTransport], body: bytes, *, parts: int) -> list[Any]:
    """Return of each part what the SDK looks at; or the error that it raises."""
    try:
        read = list(_answer(kind, body, parts=parts).parts())
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the same for both
        return [type(error)]
    return [
        (part.status_code, part.headers.get("Etag"), part.headers.get("content-type"), bytes(part.body()))
        if part.status_code >= 300
        else (part.status_code, part.headers.get("Etag"), "Etag" in part.headers)
        for part in read
    ]


def test_a_usual_answer_is_read_without_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The parts of a transaction that was written are read without a pool of threads, in their order."""
    answer = _answer(Transport, _body(WRITTEN, DELETED), parts=2)
    monkeypatch.setattr(concurrent.futures, "ThreadPoolExecutor", None)

    written, deleted = answer.parts()

    assert (written.status_code, written.headers["Etag"]) == (204, ETAG)
    assert (deleted.status_code, "Etag" in deleted.headers) == (204, False)


@pytest.mark.parametrize(
    "body",
    [
        _body(WRITTEN),
        _body(WRITTEN, DELETED, WRITTEN),
        _body(PART + GONE + "\n"),
        _body(WRITTEN, PART + GONE + "\n"),
        _body(WRITTEN.replace("application/http", "text/plain")),
        _body(WRITTEN.replace("204 No Content", "201 Created").replace("\n\n\n", "\n\n{}\n")),
        _body(WRITTEN.replace("204 No Content", "205 Reset Content")),
        _body(WRITTEN.replace("204 No Content", "204")),
        _body(WRITTEN).replace(b"boundary=changes", b"boundary=other"),
        _body(WRITTEN).replace(b"\r\n\r\n--changes", b"\r\n\r\n--other", 1),
        _body(DELETED.replace("no-cache", "\x0bETag: wrong")),
        _body(WRITTEN.replace("binary", "base64")),
        _body(WRITTEN.replace(PART, f"Content-Type: text/plain\n{PART}")),
        _body(WRITTEN).replace(b"batchresponse_2", b"batchresponse_3"),
        _body(WRITTEN.replace("ETag", "etag").replace("Content-Type", "content-type")),
        _body(WRITTEN.replace("ETag: ", "ETag:")),
        _body(WRITTEN.replace(PART, f"Content-ID: 7\n{PART}")),
        _body(WRITTEN).replace(b"\r\n", b"\n"),
        _body(),
        b"",
        b"<html>no table</html>",
    ],
)
@pytest.mark.parametrize("asked", [1, 3])
def test_any_answer_gives_the_parts_that_the_sdk_reads(body: bytes, asked: int) -> None:
    """Usual or not, an answer means to us what it means to the SDK: the same parts, or the same error."""
    assert _parts(Transport, body, parts=asked) == _parts(RequestsTransport, body, parts=asked)


@given(
    st.lists(st.sampled_from([WRITTEN, DELETED, PART + GONE + "\n"]), min_size=1, max_size=4).map(
        lambda parts: _body(*parts)
    ),
    st.data(),
)
def test_no_damaged_answer_gives_other_etags(body: bytes, data: st.DataObject) -> None:
    """Of an answer with a piece cut out, we never read a success that the SDK does not read."""
    start = data.draw(st.integers(0, len(body)))
    damaged = body[:start] + body[data.draw(st.integers(start, len(body))) :]
    sdk, ours = (_parts(kind, damaged, parts=4) for kind in (RequestsTransport, Transport))

    assert ours == sdk
