"""Opens a bucket from its settings: S3's own protocol where keys must be exact, obstore for the rest (ADR 0118)."""

from typing import Final

from headwater.clients.egress.client import Egress
from headwater.clients.listed_objects import ObstoreObjects
from headwater.clients.objects import open_objects
from headwater.clients.s3.client import Bucket, S3Objects
from headwater.clients.s3.signing import Credentials
from headwater.errors import FatalError
from headwater.ports.objects import Objects
from headwater.sources.objects import ObjectsSettings

_OPTIONS: Final = "options"
_S3_OPTIONS: Final = frozenset(
    {
        "access_key_id",
        "allow_http",
        "endpoint",
        "region",
        "secret_access_key",
        "session_token",
        "skip_signature",
        "virtual_hosted_style_request",
    }
)


def objects_of(settings: ObjectsSettings, egress: Egress) -> Objects:
    """Return the bucket of the settings, asked within the egress's budget. Raise FatalError naming what to correct."""
    if settings.url.startswith("s3://"):
        return S3Objects(egress.httpx_client(), s3_bucket(settings), s3_credentials(settings))
    # obstore opens the bucket; the prefix is said at each listing. Its calls are its own: the proxy's word is needed.
    proxy = {} if egress.proxy_url is None else {"proxy_url": egress.proxy_url}
    store = open_objects(settings.root, {**settings.options, **proxy}, setting="url", options_setting=_OPTIONS)
    budget = None if settings.is_folder else egress.budget
    return ObstoreObjects(store, url=settings.url, options_setting=_OPTIONS, budget=budget)


def s3_bucket(settings: ObjectsSettings) -> Bucket:
    """Say where an S3 bucket is. Without an endpoint it is at Amazon, in `region`."""
    for name in settings.options.keys() - _S3_OPTIONS:
        raise FatalError(f"{_OPTIONS}: unknown option {name}; known are {', '.join(sorted(_S3_OPTIONS))}")
    region = _plain(settings, "region")
    endpoint = _plain(settings, "endpoint")
    if region is None and endpoint is None:
        raise FatalError(f"{_OPTIONS}: region is missing; name the bucket's region, or an endpoint")
    if endpoint is not None and endpoint.startswith("http:") and not _flag(settings, "allow_http"):
        raise FatalError(f"{_OPTIONS}: endpoint {endpoint} is not encrypted; use https, or set allow_http to true")
    # A dot in a bucket's name breaks the certificate of its own host name.
    virtual = _flag(settings, "virtual_hosted_style_request", default=endpoint is None and "." not in settings.bucket)
    return Bucket(
        endpoint=endpoint or f"https://s3.{region}.amazonaws.com",
        region=region or "us-east-1",
        name=settings.bucket,
        virtual_host=virtual,
    )


def s3_credentials(settings: ObjectsSettings) -> Credentials | None:
    """Return who asks; None for a public bucket. Raise FatalError where half of it is missing."""
    if _flag(settings, "skip_signature"):
        return None
    key, secret = _plain(settings, "access_key_id"), settings.options.get("secret_access_key")
    if key is None or secret is None:
        missing = "access_key_id" if key is None else "secret_access_key"
        raise FatalError(f"{_OPTIONS}: {missing} is missing; give it, or skip_signature=true for a public bucket")
    token = settings.options.get("session_token")
    return Credentials(access_key_id=key, secret_access_key=secret, session_token=token)


def _plain(settings: ObjectsSettings, name: str) -> str | None:
    value = settings.options.get(name)
    return None if value is None else value.get_secret_value()


def _flag(settings: ObjectsSettings, name: str, *, default: bool = False) -> bool:
    value = _plain(settings, name)
    return default if value is None else value.lower() == "true"
