"""Is it ready? One function a probe, each with a short limit of its own."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from headwater.local.ports import LOOPBACK
from headwater.local.process import Probe, Process

PROBE_TIMEOUT_S = 3.0
_SHOW_COLLECTIONS = "/milvus.proto.milvus.MilvusService/ShowCollections"
_NO_FIELDS = b""  # a protobuf message with every field at its default


async def is_ready(process: Process) -> bool:
    """Ask once. False while nobody listens, and while whoever listens is not ready for work."""
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            _, writer = await asyncio.open_connection(LOOPBACK, process.port)
    except (OSError, TimeoutError):
        return False  # cheaper to learn from a socket than from a client
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
    """List the collections by the bare call: importing Milvus's own client costs seconds of CPU."""

    def ask() -> bool:
        import grpc  # type: ignore[import-untyped] # its types are another package, which nothing else needs

        with grpc.insecure_channel(f"{LOOPBACK}:{port}") as channel:
            try:
                channel.unary_unary(_SHOW_COLLECTIONS)(_NO_FIELDS, timeout=PROBE_TIMEOUT_S)
            except grpc.RpcError:
                return False
        return True

    return await asyncio.to_thread(ask)


async def _redis(port: int) -> bool:
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            writer.write(b"PING\r\n")
            answer = await reader.readline()
            writer.close()
    except (OSError, TimeoutError):
        return False
    return answer == b"+PONG\r\n"  # while it loads, it answers with an error


def _http(path: str) -> Callable[[int], Awaitable[bool]]:
    """Ask by hand: a client of its own for each of many probes would read the certificates of the world each time."""

    async def ask(port: int) -> bool:
        request = f"GET {path} HTTP/1.1\r\nHost: {LOOPBACK}\r\nConnection: close\r\n\r\n"
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                reader, writer = await asyncio.open_connection(LOOPBACK, port)
                writer.write(request.encode())
                status_line = await reader.readline()
                writer.close()
        except (OSError, TimeoutError):
            return False
        return status_line.split()[1:2] == [b"200"]

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
