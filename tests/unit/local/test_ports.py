import socket

import pytest

from headwater.errors import FatalError
from headwater.local.ports import LISTENERS, LOOPBACK, fixed_ports, free_ports, port_conflicts
from headwater.settings import Settings


def test_a_port_in_use_is_one_sentence_with_the_setting_that_moves_it() -> None:
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        port = taken.getsockname()[1]
        settings = Settings.model_validate({"milvus": {"url": f"http://{LOOPBACK}:{port}"}})
        conflicts = [line for line in port_conflicts(settings) if "(milvus)" in line]
    assert len(conflicts) == 1
    assert conflicts[0].startswith(f"port {port} (milvus) is in use")
    assert "HEADWATER_MILVUS__URL" in conflicts[0]
    assert "--free-ports" in conflicts[0]


def test_free_ports_are_all_different_and_complete() -> None:
    ports = free_ports()
    assert tuple(ports) == LISTENERS
    assert len(set(ports.values())) == len(LISTENERS)


def test_fixed_ports_follow_the_settings() -> None:
    ports = fixed_ports(Settings.model_validate({"kafka": {"bootstrap_servers": "127.0.0.1:7000"}}))
    assert (ports["kafka"], ports["kafka-controller"]) == (7000, 7001)
    assert len(set(ports.values())) == len(LISTENERS)


@pytest.mark.parametrize("address", ["broker.example.org:9092", "10.0.0.1:9092", "127.0.0.1"])
def test_a_component_elsewhere_is_not_ours_to_start(address: str) -> None:
    with pytest.raises(FatalError, match=r"HEADWATER_KAFKA__BOOTSTRAP_SERVERS.* on 127\.0\.0\.1 only"):
        fixed_ports(Settings.model_validate({"kafka": {"bootstrap_servers": address}}))


def test_a_password_in_an_address_is_not_repeated() -> None:
    settings = Settings.model_validate({"redis": {"url": "redis://me:canary@cache.example.org:6379/0"}})
    with pytest.raises(FatalError) as refused:
        fixed_ports(settings)
    assert "canary" not in str(refused.value)
