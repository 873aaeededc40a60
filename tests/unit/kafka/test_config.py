"""What every client of ours is told."""

from pathlib import Path

from confluent_kafka import Consumer, Producer
from pydantic import SecretStr

from headwater.clients.kafka.config import consumer_config, group_of, producer_config, topic_of
from headwater.settings import KafkaSettings, Settings
from schemas.ids import GenerationName
from schemas.topics import Topic

PREFIXED = Settings(kafka=KafkaSettings(topic_prefix="acme."))


def test_names_carry_prefix_and_generation() -> None:
    assert topic_of(PREFIXED, Topic.CHUNKS_PREPARED) == "acme.rag.chunks.prepared.g1"
    assert topic_of(PREFIXED, Topic.CHUNKS_PREPARED, generation=GenerationName("g2")) == "acme.rag.chunks.prepared.g2"
    assert topic_of(PREFIXED, Topic.DOCUMENTS_CHANGED) == "acme.rag.documents.changed"
    assert group_of(PREFIXED, "admit") == "acme.headwater-admit"
    assert group_of(PREFIXED, "embed", generation=GenerationName("g2")) == "acme.headwater-embed-g2"


def test_producers_are_idempotent_and_use_javas_partitioner() -> None:
    config = producer_config(KafkaSettings(), client_id="test")
    Producer(config)  # librdkafka accepts every name and value
    assert (config["partitioner"], config["enable.idempotence"], config["acks"]) == ("murmur2_random", True, "all")


def test_a_transaction_ends_before_readers_notice() -> None:
    config = producer_config(KafkaSettings(transaction_timeout_s=7), client_id="test", transactional_id="admit-0")
    Producer(config)
    assert config["transaction.timeout.ms"] == 7_000
    assert config["delivery.timeout.ms"] <= config["transaction.timeout.ms"]


def test_consumers_read_committed_records_and_commit_by_hand() -> None:
    config = consumer_config(KafkaSettings(), client_id="test", group="g")
    Consumer(config).close()
    assert config["isolation.level"] == "read_committed"
    assert config["enable.auto.commit"] is False
    assert config["enable.auto.offset.store"] is False


def test_credentials_reach_the_client_and_no_text() -> None:
    settings = KafkaSettings(
        security_protocol="SASL_SSL",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_username="headwater",
        sasl_password=SecretStr("canary"),
        ssl_ca_file=Path("/etc/ca.pem"),
    )
    config = producer_config(settings, client_id="test")
    assert config["sasl.password"] == "canary"
    assert config["ssl.ca.location"] == "/etc/ca.pem"
    assert "canary" not in repr(settings)
