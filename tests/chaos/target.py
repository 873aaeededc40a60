"""A product whose components fail while others use some of them."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from headwater.local.ports import LOOPBACK, fixed_ports
from tests.chaos.faults import CUT_OFF
from tests.chaos.scene import Target
from tests.support.infrastructure import infrastructure_of
from tests.support.platform import running_platform
from tests.support.proxy import Proxy
from tests.support.stack import RunningStack, infrastructure_in

OWN = ("milvus", "redis")  # they start within seconds and need little; the others are shared
OWN_STATE = Path(".headwater/own")  # its logs stay until the next run


@contextmanager
def half_shared(stack: RunningStack, *, name: str) -> Iterator[Target]:
    """Run a product on a Milvus and a Redis of its own, and on the stack's other components through proxies.

    What is killed is its own and what is cut are its own connections: whoever else uses the stack notices nothing.
    Raises FatalError where a component is not on loopback.
    """
    with ExitStack() as opened:
        own = opened.enter_context(infrastructure_in(OWN_STATE, names=OWN))
        ports = fixed_ports(stack.settings)
        proxies = {
            each: opened.enter_context(Proxy(target=ports[each], broker=each == "kafka").relaying()) for each in CUT_OFF
        }
        platform = opened.enter_context(running_platform(_redirected(stack, own.environment(), proxies), name=name))
        yield Target(platform=platform, infrastructure=infrastructure_of(platform, own, proxies), alone=False)


def _redirected(stack: RunningStack, own: Mapping[str, str], proxies: Mapping[str, Proxy]) -> RunningStack:
    """Return the stack as the product is to see it."""
    at = {name: f"{LOOPBACK}:{proxy.port}" for name, proxy in proxies.items()}
    addresses = {
        "HEADWATER_KAFKA__BOOTSTRAP_SERVERS": at["kafka"],
        "HEADWATER_ELASTICSEARCH__URL": f"http://{at['elasticsearch']}",
        "HEADWATER_TRITON__URL": at["triton"],
        **{name: own[name] for name in ("HEADWATER_MILVUS__URL", "HEADWATER_REDIS__URL")},
    }
    groups = {}
    for name, address in addresses.items():
        group, _, field = name.removeprefix("HEADWATER_").lower().partition("__")
        given = getattr(stack.settings, group)
        groups[group] = type(given).model_validate({**dict(given), field: address})
    return RunningStack(
        settings=stack.settings.model_copy(update=groups), environment={**stack.environment, **addresses}
    )
