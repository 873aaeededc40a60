"""The query API as the command line calls it: over HTTP, with a key, like any other caller."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpx

from headwater.errors import FatalError, HeadwaterError, RetryableError
from headwater.settings import ApiSettings

ACT_AS_S: Final = 300  # how long a key minted for `--as` is valid
READ_TIMEOUT_S: Final = 120.0  # a streamed answer of a large model


class ApiProblemError(HeadwaterError):
    """The API refused; its text is the problem document's detail and remedy."""

    def __init__(self, text: str, *, status: int, code: str) -> None:
        super().__init__(text)
        self.status, self.code = status, code


class ApiClient:
    """Calls the API and turns problem documents into ApiProblemError. Use `open_api`."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def call(self, method: str, path: str, **options: Any) -> Any:
        """Return the response's JSON; raise ApiProblemError, or RetryableError when the API is away."""
        try:
            response = self._client.request(method, f"/v1{path}", **options)
        except httpx.TransportError as error:
            raise RetryableError(
                f"the API at {self._client.base_url} does not answer; start it with `headwater up`, "
                "or set HEADWATER_API__HOST and HEADWATER_API__PORT"
            ) from error
        if response.is_error:
            raise _problem(response)
        return response.json()

    def acting_as(self, user: str, *, valid_s: int = ACT_AS_S) -> "ApiClient":
        """Mint a short-lived key of another user and return a client that calls with it; it is in the audit trail."""
        made = self.call(
            "POST",
            "/keys",
            json={"name": f"acting as {user}", "user": user, "scopes": ["read"], "expires_in_s": valid_s},
        )
        client = httpx.Client(
            base_url=self._client.base_url, headers=_authorization(made["key"]), timeout=self._client.timeout
        )
        return ApiClient(client)


@contextmanager
def open_api(settings: ApiSettings, *, as_user: str | None = None) -> Iterator[ApiClient]:
    """Open a client with the key of the settings, or with the bootstrap key; act as another user where asked."""
    base_url = f"http://{settings.host}:{settings.port}"
    timeout = httpx.Timeout(settings.request_timeout_s, read=READ_TIMEOUT_S)
    with httpx.Client(base_url=base_url, headers=_authorization(api_key(settings)), timeout=timeout) as client:
        api = ApiClient(client)
        yield api.acting_as(as_user) if as_user else api


def path_id(external_id: str) -> str:
    """Return an external id as paths of the API take it: base64url without padding."""
    return base64.urlsafe_b64encode(external_id.encode()).decode().rstrip("=")


def api_key(settings: ApiSettings) -> str:
    """Return the key of the settings, or the bootstrap key. Raise FatalError where there is neither."""
    if settings.key is not None:
        return _sendable(settings.key.get_secret_value(), "HEADWATER_API__KEY")
    try:
        return _sendable(settings.bootstrap_key_file.read_text().strip(), str(settings.bootstrap_key_file))
    except (OSError, UnicodeDecodeError) as error:
        raise FatalError(
            f"no API key: {settings.bootstrap_key_file} cannot be read; "
            "run `headwater up` once, or set HEADWATER_API__KEY"
        ) from error


def _sendable(key: str, origin: str) -> str:
    """Return the key; raise FatalError for what no header can carry."""
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise FatalError(f"{origin}: holds no API key; a key is one line that begins with `hw_`")
    return key


def _authorization(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def _problem(response: httpx.Response) -> ApiProblemError:
    try:
        body = response.json()
        text = f"{body['detail']}. {body['remedy']}"
        code = str(body["code"])
    except (ValueError, KeyError, TypeError):
        text, code = f"the API answered {response.status_code}; its log says why", "unknown"
    return ApiProblemError(text, status=response.status_code, code=code)
