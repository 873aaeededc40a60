"""Is it ready? One function a probe, each with a short limit of its own."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import httpx
import redis.asyncio
from redis.exceptions import RedisError

from headwater.local.ports import LOOPBACK
from headwater.local.process import Probe, Process

PROBE_TIMEOUT_S = 3.0


async def is_ready(process: Process) -> bool:
    """Ask once. False while nobody listens, and while whoever listens is not ready for work."""
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(LOOPBACK, process.port), PROBE_TIMEOUT_S)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return await PROBES[process.probe](process.port)


async def _kafka(port: int) -> bool:
    def ask() -> bool:
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        client = AdminClient({"bootstrap.servers": f"{LOOPBACK}:{port}", "log_level": 0})
        try:
            return bool(client.list_topics(timeout=PROBE_TIMEOUT_S).brokers)
        except KafkaException:
            return False

    return await asyncio.to_thread(ask)


async def _milvus(port: int) -> bool:
    def ask() -> bool:
        from pymilvus import MilvusClient, MilvusException

        try:
            client = MilvusClient(f"http://{LOOPBACK}:{port}", timeout=PROBE_TIMEOUT_S)
            client.list_collections(timeout=PROBE_TIMEOUT_S)
            client.close()
        except MilvusException:
            return False
        return True

    return await asyncio.to_thread(ask)


async def _redis(port: int) -> bool:
    client = redis.asyncio.Redis(host=LOOPBACK, port=port, socket_timeout=PROBE_TIMEOUT_S)
    try:
        return bool(await client.ping())
    except (RedisError, OSError):
        return False
    finally:
        await client.aclose()


def _http(path: str) -> Callable[[int], Awaitable[bool]]:
    async def ask(port: int) -> bool:
        async with httpx.AsyncClient(timeout=PROBE_TIMEOUT_S, trust_env=False) as client:
            try:
                answer = await client.get(f"http://{LOOPBACK}:{port}{path}")
            except httpx.HTTPError:
                return False
        return answer.is_success

    return ask


PROBES: Mapping[Probe, Callable[[int], Awaitable[bool]]] = {
    Probe.KAFKA_METADATA: _kafka,
    # Answers 408 while the state is worse than asked for.
    Probe.ELASTICSEARCH_HEALTH: _http("/_cluster/health?wait_for_status=yellow&timeout=1s"),
    Probe.MILVUS_COLLECTIONS: _milvus,
    Probe.REDIS_PING: _redis,
    Probe.TRITON_MODELS: _http("/v2/health/ready"),  # Triton counts as ready when every model is
    Probe.MANAGEMENT: _http("/readyz"),
}
