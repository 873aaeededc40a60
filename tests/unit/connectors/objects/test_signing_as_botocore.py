"""Requests and their signatures against botocore's, Amazon's own client, whatever keys, queries and headers are."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials as BotocoreCredentials
from botocore.session import Session
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import SecretStr

from headwater.clients.s3.client import Bucket
from headwater.clients.s3.signing import EMPTY_SHA256, Credentials, encoded_query, signed_headers

REGION, ENDPOINT = "eu-central-1", "http://127.0.0.1:9"
BUCKET = Bucket(endpoint=ENDPOINT, region=REGION, name="papers")
CREDENTIALS = Credentials(
    access_key_id="AKIDEXAMPLE", secret_access_key=SecretStr("secret/+="), session_token=SecretStr("token/+=")
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
KEYS = st.one_of(TEXT.filter(bool), st.text("/.% +~&?#=:\\\"'*!()é\n\x7f", min_size=1, max_size=12))
# Of one line; spaces at the ends are trimmed by whoever sends a header.
HEADER_VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=30)


class _Sent(Exception):  # noqa: N818 - no error: what was to be sent
    def __init__(self, request: Any) -> None:
        self.request = request


@pytest.fixture(scope="module")
def s3() -> Any:
    """A client that raises what it would send."""
    s3 = Session().create_client(
        "s3",
        region_name=REGION,
        endpoint_url=ENDPOINT,
        aws_access_key_id=CREDENTIALS.access_key_id,
        aws_secret_access_key=CREDENTIALS.secret_access_key.get_secret_value(),
        aws_session_token=CREDENTIALS.session_token.get_secret_value() if CREDENTIALS.session_token else None,
        config=Config(s3={"addressing_style": "path"}, response_checksum_validation="when_required"),
    )

    def stop(request: Any, **_: object) -> None:
        raise _Sent(request)

    s3.meta.events.register("before-send.s3", stop)
    return s3


def sent_by(call: Callable[..., object], **arguments: object) -> SimpleNamespace:
    with pytest.raises(_Sent) as sent:
        call(Bucket=BUCKET.name, **arguments)
    request = sent.value.request
    headers = {
        name.lower(): value if isinstance(value, str) else value.decode() for name, value in request.headers.items()
    }
    url = urlsplit(request.url)
    return SimpleNamespace(method=request.method, path=url.path, query=url.query, headers=headers)


def assert_signed_alike(sent: SimpleNamespace, target: str) -> None:
    """The very headers that botocore signed, for our target: the signature must be botocore's."""
    names = sent.headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    given = {"host": "127.0.0.1:9"} | {name: sent.headers[name] for name in names if name != "host"}
    at = datetime.strptime(sent.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    ours = signed_headers(sent.method, target, headers=given, credentials=CREDENTIALS, region=REGION, at=at)
    assert ours["authorization"] == sent.headers["authorization"]


@given(key=KEYS)
@example(key="a//b/../c/./d e+f%2F~é*'()!\n")
def test_any_key_is_asked_for_and_signed_as_botocore_does(s3: Any, key: str) -> None:
    sent = sent_by(s3.head_object, Key=key)
    assert BUCKET.path(key) == sent.path
    assert_signed_alike(sent, BUCKET.path(key))


@given(key=KEYS, etag=HEADER_VALUES)
def test_a_condition_is_signed_as_botocore_does(s3: Any, key: str, etag: str) -> None:
    sent = sent_by(s3.get_object, Key=key, IfMatch=etag)
    assert_signed_alike(sent, BUCKET.path(key))


@given(key=KEYS)
def test_a_question_for_tags_is_signed_as_botocore_does(s3: Any, key: str) -> None:
    sent = sent_by(s3.get_object_tagging, Key=key)
    assert sent.query == "tagging"
    assert_signed_alike(sent, f"{BUCKET.path(key)}?{encoded_query({'tagging': ''})}")


@given(prefix=TEXT, token=TEXT)
def test_any_prefix_and_token_are_signed_as_botocore_does(s3: Any, prefix: str, token: str) -> None:
    query = {
        "list-type": "2",
        "prefix": prefix,
        "continuation-token": token,
        "encoding-type": "url",
        "max-keys": "9",
    }
    sent = sent_by(s3.list_objects_v2, Prefix=prefix, ContinuationToken=token, EncodingType="url", MaxKeys=9)
    assert_signed_alike(sent, f"{BUCKET.path('')}?{encoded_query(query)}")


@given(
    query=st.dictionaries(TEXT.filter(bool), TEXT, max_size=4),
    headers=st.dictionaries(st.from_regex(r"x-amz-[a-z0-9-]{1,12}", fullmatch=True), HEADER_VALUES, max_size=3),
)
@example(query={"a": "1", "a-b": "2", "aé": "", "A": " +%&="}, headers={"x-amz-b": "  two   spaces "})
def test_any_query_and_headers_are_signed_as_botocore_does(
    query: Mapping[str, str], headers: Mapping[str, str]
) -> None:
    at = datetime(2026, 3, 2, 12, tzinfo=UTC)
    target = f"/papers?{encoded_query(query)}"
    ours = signed_headers(
        "GET", target, headers={"host": "127.0.0.1:9", **headers}, credentials=CREDENTIALS, region=REGION, at=at
    )
    authorization = ours.pop("authorization")
    theirs = BotocoreCredentials(CREDENTIALS.access_key_id, CREDENTIALS.secret_access_key.get_secret_value())
    auth = S3SigV4Auth(theirs, "s3", REGION)
    request = AWSRequest(method="GET", url=f"{ENDPOINT}{target}", headers={**ours, **headers})
    request.context["timestamp"] = ours["x-amz-date"]
    assert ours["x-amz-content-sha256"] == EMPTY_SHA256
    signature = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    assert authorization.endswith(f"Signature={signature}")
