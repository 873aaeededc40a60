"""Signatures against the published examples."""

from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from headwater.clients.s3.signing import Credentials, encoded_path, encoded_query, signed_headers

# Amazon S3 API Reference, "Signature Calculations for the Authorization Header", examples.
EXAMPLE = Credentials(
    access_key_id="AKIAIOSFODNN7EXAMPLE",
    secret_access_key=SecretStr("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
)
AT = datetime(2013, 5, 24, tzinfo=UTC)
HOST = {"host": "examplebucket.s3.amazonaws.com"}


@pytest.mark.parametrize(
    ("target", "headers", "signature"),
    [
        (
            "/test.txt",
            {"range": "bytes=0-9"},
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        ("/?lifecycle=", {}, "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        ("/?max-keys=2&prefix=J", {}, "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ],
)
def test_the_published_examples(target: str, headers: dict[str, str], signature: str) -> None:
    signed = signed_headers("GET", target, headers=HOST | headers, credentials=EXAMPLE, region="us-east-1", at=AT)
    assert signed["authorization"].endswith(f"Signature={signature}")


def test_a_session_token_is_signed_and_sent() -> None:
    credentials = Credentials(access_key_id="a", secret_access_key=SecretStr("b"), session_token=SecretStr("the token"))
    signed = signed_headers("GET", "/", headers=HOST, credentials=credentials, region="us-east-1", at=AT)
    assert signed["x-amz-security-token"] == "the token"
    assert "x-amz-security-token" in signed["authorization"]


def test_paths_keep_slashes_and_dots_and_encode_the_rest() -> None:
    assert encoded_path("/b//../a b+%~é") == "/b//../a%20b%2B%25~%C3%A9"


def test_queries_are_sorted_and_encode_slashes() -> None:
    assert encoded_query({"prefix": "a/b c", "list-type": "2"}) == "list-type=2&prefix=a%2Fb%20c"
