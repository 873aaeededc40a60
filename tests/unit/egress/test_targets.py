"""What a redirect may take along, and what belongs to the source."""

from collections.abc import Mapping

import httpx
import pytest

from headwater.clients.egress.errors import DestinationRefusedError
from headwater.clients.egress.targets import HARMLESS_HEADERS, OWN_HEADERS, Hop, checked_url, origin_of, redirected

HOME = "https://wiki.test/page"
SAID: Mapping[str, str] = {
    "Accept": "*/*",
    "Authorization": "Bearer s3cret",
    "Content-Type": "text/plain",
    "X-Own": "1",
}


def hop(method: str = "GET", content: bytes | None = None) -> Hop:
    return Hop(method=method, url=httpx.URL(HOME), headers=SAID, content=content, trusted=True)


@pytest.mark.parametrize(
    "location",
    ["https://other.test/page", "https://wiki.test:8443/page", "https://wiki.test.evil.test/", "//other.test/page"],
)
def test_another_origin_is_not_trusted_and_sees_harmless_headers_alone(location: str) -> None:
    there = redirected(hop(), status=302, location=location)
    assert not there.trusted
    assert {name.lower() for name in there.headers} == {"accept"} < HARMLESS_HEADERS
    with pytest.raises(DestinationRefusedError, match="with a body"):
        redirected(hop("PUT", b"text"), status=307, location=location)


@pytest.mark.parametrize("location", ["/there", "https://wiki.test:443/there", "https://WIKI.test./there"])
def test_the_same_origin_stays_trusted(location: str) -> None:
    there = redirected(hop("PUT", b"text"), status=307, location=location)
    assert (there.trusted, there.headers, there.content) == (True, SAID, b"text")


def test_no_redirect_leaves_tls() -> None:
    with pytest.raises(DestinationRefusedError, match="from https to http"):
        redirected(hop(), status=302, location="http://wiki.test/page")


def test_another_scheme_is_another_origin() -> None:
    assert origin_of(httpx.URL("http://wiki.test:443/")) != origin_of(httpx.URL("https://wiki.test:443/"))


@pytest.mark.parametrize(
    ("method", "status", "becomes"),
    [
        ("POST", 301, "GET"),
        ("POST", 302, "GET"),
        ("POST", 303, "GET"),
        ("PUT", 303, "GET"),
        ("HEAD", 303, "HEAD"),
        ("POST", 307, "POST"),
        ("POST", 308, "POST"),
        ("PUT", 302, "PUT"),
    ],
)
def test_a_redirect_keeps_the_method_or_becomes_get_without_a_body(method: str, status: int, becomes: str) -> None:
    there = redirected(hop(method, b"text"), status=status, location="/there")
    keeps = method == becomes
    assert (there.method, there.content) == (becomes, b"text" if keeps else None)
    assert ("Content-Type" in there.headers) is keeps


@pytest.mark.parametrize(
    "url", ["ftp://wiki.test/", "wiki.test/page", "https:///page", "https://u@wiki.test/", "https://0x7f.1/"]
)
def test_what_is_never_called_is_refused(url: str) -> None:
    with pytest.raises(DestinationRefusedError):
        checked_url(url)


def test_no_header_is_a_credentials_and_harmless() -> None:
    assert {"accept-encoding"} == OWN_HEADERS & HARMLESS_HEADERS  # the client's own, and nobody's secret
    assert {"authorization", "cookie", "host", "proxy-authorization"} < OWN_HEADERS
