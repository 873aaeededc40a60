"""What calls to a source can end in. Texts name the host and the remedy, never a path, a query or a secret."""

import ssl
from typing import Final

import httpx

from headwater.errors import DeferredError, FatalError, HeadwaterError, PoisonError, RetryableError, UnauthorisedError

UNAUTHORISED: Final = 401
FORBIDDEN: Final = 403
MISSING: Final = frozenset({404, 410})
PROXY_REFUSED: Final = 407
TIMED_OUT: Final = 408
TOO_EARLY: Final = 425
FIRST_SERVER_ERROR: Final = 500


class HomeRefusedError(FatalError):
    """The source's own address may not be called: a setting is wrong, or the address must be allowed."""


class DestinationRefusedError(PoisonError):
    """A link or a redirect leads where nothing may be called. The item it belongs to cannot be read."""


class ForbiddenError(PoisonError):
    """The credentials are good, and not enough for this item."""


class MissingError(PoisonError):
    """The item is not there (404), or never will be again (410)."""


class RequestRefusedError(PoisonError):
    """The source will never answer this request."""


class ResponseTooLargeError(PoisonError):
    """The response is larger than the cap, as sent or once decompressed."""


class RateLimitedError(DeferredError):
    """The source asks to wait longer than the budget of one request. Nothing is wrong; go on at `until`."""


class SourceAwayError(RetryableError):
    """The source does not answer, breaks off, is too slow, or fails on its side."""


class CertificateError(FatalError):
    """Whoever answers cannot prove to be the source."""


class ProxyRefusedError(FatalError):
    """The proxy does not let the call pass."""


def of_status(status: int, *, host: str, credential: str | None) -> HeadwaterError:
    """Translate a status that is no success, redirect or rate limit. `credential`: the reference that was sent."""
    said = f"{host} answered {status}"
    if status == UNAUTHORISED:
        return UnauthorisedError(
            f"{said}: it refuses the credentials; renew what {credential} holds"
            if credential
            else f"{said}: it asks for credentials; give the source a secret reference"
        )
    if status == FORBIDDEN:
        return ForbiddenError(
            f"{said}: {credential or 'a caller without credentials'} may not read this; grant the right"
        )
    if status in MISSING:
        return MissingError(f"{said}: there is no such item, or {credential or 'the caller'} may not know of it")
    if status == PROXY_REFUSED:
        return ProxyRefusedError(f"the proxy refused the call to {host}; check its rules and egress.proxy_credentials")
    if status >= FIRST_SERVER_ERROR or status in {TIMED_OUT, TOO_EARLY}:
        return SourceAwayError(f"{said}: it fails on its side; try again later, or look at its own status page")
    return RequestRefusedError(f"{said}: it does not take the request; check the source's address and version")


def of_transport(error: httpx.HTTPError | httpx.InvalidURL, *, host: str) -> HeadwaterError:
    """Translate what httpx raised. Its text is left out: it may quote the URL."""
    kind = type(error).__name__
    if isinstance(error, httpx.ProxyError):
        return _of_proxy(error, host=host)
    if _certificate_fault(error):
        return CertificateError(
            f"the certificate of {host} cannot be verified; name the issuing authority in egress.ca_file, or correct "
            "the source's address"
        )
    if isinstance(error, httpx.ConnectTimeout | httpx.ConnectError):
        return SourceAwayError(
            f"{host} cannot be reached ({kind}); check the address, the network and egress.proxy_url"
        )
    if isinstance(error, httpx.LocalProtocolError | httpx.UnsupportedProtocol | httpx.InvalidURL):
        return RequestRefusedError(f"the request to {host} is not valid HTTP ({kind}); check headers and address")
    return SourceAwayError(f"{host} broke off ({kind}); try again later")


def _of_proxy(error: httpx.ProxyError, *, host: str) -> HeadwaterError:
    # httpcore words it as "403 Forbidden": the status of the answer to CONNECT.
    if str(error).startswith("5"):
        return SourceAwayError(f"the proxy cannot reach {host}; check the address, and egress.proxy_url")
    return ProxyRefusedError(f"the proxy refused the call to {host}; check its rules and egress.proxy_credentials")


def _certificate_fault(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False
