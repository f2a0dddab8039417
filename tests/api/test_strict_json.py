import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from app.api.strict_json import parse
from app.core.errors import Invalid

JSON = {"Content-Type": "application/json"}

REFUSED = {
    "nan": b'{"seed": NaN}',
    "infinity": b"[-Infinity]",
    "overflow": b'{"seed": 1e999}',
    "duplicate key": b'{"model": "a", "model": "b"}',
    "nested duplicate key": b'{"recipe": {"preset": "fast", "preset": "safe"}}',
    "lone surrogate": rb'{"model": "\ud800"}',
    "lone surrogate as a key": rb'{"\udfff": 1}',
    "nul": rb'{"model": "\u0000"}',
    "too deep": b"[" * 70 + b"]" * 70,
    "far too deep": b"[" * 100_000,
    "long number": b"1" * 5000,
    "not utf-8": b'{"model": "\xff"}',
    "byte order mark": b"\xef\xbb\xbf{}",
    "nothing": b"",
    "half": b'{"model": ',
    "two": b"{} {}",
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED.keys())
def test_what_readers_could_disagree_on_is_refused(client: TestClient, body: bytes) -> None:
    answer = client.post("/v1/jobs", content=body, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_json")


def test_a_whole_surrogate_pair_is_a_character() -> None:
    assert parse(rb'"\ud83d\ude00"') == "\U0001f600"


def test_a_backslash_before_u0000_is_no_nul() -> None:
    assert parse(rb'"\\u0000"') == r"\u0000"


@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with contextlib.suppress(Invalid):
        parse(body)


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""])
def test_only_json_is_taken_as_json(client: TestClient, media_type: str) -> None:
    answer = client.post("/v1/jobs", content=b"{}", headers={"Content-Type": media_type})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


def test_a_json_body_has_a_largest_size(client: TestClient) -> None:
    answer = client.post("/v1/jobs", content=b" " * (1 << 20) + b"{}", headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
