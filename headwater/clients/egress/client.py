"""The one way out of a process: sources are opened on it, each with a budget."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from functools import cache, partial

import httpx
from pydantic import SecretStr

from headwater.clients.egress.addresses import AddressPolicy
from headwater.clients.egress.guarded import GuardedHttpx
from headwater.clients.egress.pacing import Clock, SourceBudget, SystemClock
from headwater.clients.egress.requests import Credential
from headwater.clients.egress.resolving import Resolver, SystemResolver
from headwater.clients.egress.source import EgressSource
from headwater.clients.egress.transport import GuardedTransport
from headwater.errors import FatalError
from headwater.settings import EgressSettings


class Egress:
    """Opens sources on one transport. Use `open_egress`, and of it `of_source` or `of_bucket`."""

    def __init__(
        self,
        *,
        transport: GuardedTransport,
        settings: EgressSettings,
        clock: Clock,
        budget: SourceBudget | None = None,
    ) -> None:
        self._transport, self._settings, self._clock, self._budget = transport, settings, clock, budget

    def of_source(self, *, requests_per_s: float | None = None, concurrency: int | None = None) -> "Egress":
        """Return the way out of one source of the directory: all that is opened of it shares one budget.

        None: as the settings say.
        """
        return self._within(self._budget_of(requests_per_s, concurrency))

    def of_bucket(self, *, requests_per_s: float | None = None, concurrency: int | None = None) -> "Egress":
        """Return the same of one bucket, of which much more may be asked where nothing is said."""
        return self._within(
            self._budget_of(
                requests_per_s or self._settings.bucket_requests_per_s, concurrency or self._settings.bucket_concurrency
            )
        )

    def _budget_of(self, requests_per_s: float | None, concurrency: int | None) -> SourceBudget:
        return SourceBudget.of(
            requests_per_s=requests_per_s or self._settings.requests_per_s,
            concurrency=concurrency or self._settings.concurrency,
            wait_s=self._settings.wait_budget_s,
            clock=self._clock,
        )

    def _within(self, budget: SourceBudget) -> "Egress":
        return Egress(transport=self._transport, settings=self._settings, clock=self._clock, budget=budget)

    @property
    def budget(self) -> SourceBudget:
        """Return the source's budget, for a client that brings its own HTTP; a new one where there is no source."""
        return self._budget or self._budget_of(None, None)

    def waits_until(self) -> datetime | None:
        """Return until when the source asks to send nothing; None where it does not."""
        return None if self._budget is None else self._budget.pacer.waits_until()

    def source(self, *, home: str, credential: Credential | None = None, for_credential: bool = False) -> EgressSource:
        """Return calls to one address. Raises HomeRefusedError for what is no address.

        `for_credential`: calls by which a credential is had. They are made within another request of the source, so
        they wait for none of its slots.
        """
        budget = self.budget
        return EgressSource(
            home=home,
            credential=credential,
            transport=self._transport,
            settings=self._settings,
            clock=self._clock,
            budget=budget.beside() if for_credential else budget,
        )

    @property
    def proxy_url(self) -> SecretStr | None:
        """Return the proxy that all calls go to, its credentials within, for a client that brings its own HTTP."""
        if self._settings.proxy_url is None:
            return None
        url, auth = httpx.URL(self._settings.proxy_url), _proxy_auth(self._settings)
        return SecretStr(str(url if auth is None else url.copy_with(username=auth[0], password=auth[1])))

    def httpx_client(self) -> httpx.AsyncClient:
        """Return a client of one source for a protocol that signs and repeats for itself (S3).

        Guarded and pinned, within the source's budget, the limits that it states and the settings' times. How large an
        answer may be is its reader's to know. It needs no closing: connections are this object's.
        """
        budget = self.of_bucket().budget if self._budget is None else self._budget
        guarded = GuardedHttpx(self._transport, settings=self._settings, clock=self._clock, budget=budget)
        return httpx.AsyncClient(transport=guarded, follow_redirects=False, trust_env=False)


@asynccontextmanager
async def open_egress(
    settings: EgressSettings, *, resolver: Resolver | None = None, clock: Clock | None = None
) -> AsyncIterator[Egress]:
    """Open the one client of a process and close its connections at the end. Raises FatalError naming the setting."""
    transport = GuardedTransport(
        policy=AddressPolicy(networks=settings.allowed_networks, hosts=settings.allowed_hosts),
        resolver=resolver or SystemResolver(),
        tls=cache(partial(_tls, settings)),
        proxy=_proxy(settings),
    )
    try:
        yield Egress(transport=transport, settings=settings, clock=clock or SystemClock())
    finally:
        await transport.aclose()


def _tls(settings: EgressSettings) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=settings.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise FatalError(f"egress.ca_file {settings.ca_file} cannot be read as certificates; correct it") from error


def _proxy(settings: EgressSettings) -> httpx.Proxy | None:
    if settings.proxy_url is None:
        return None
    return httpx.Proxy(settings.proxy_url, auth=_proxy_auth(settings))


def _proxy_auth(settings: EgressSettings) -> tuple[str, str] | None:
    if settings.proxy_credentials is None:
        return None
    user, _, password = settings.proxy_credentials.get_secret_value().partition(":")
    return user, password
