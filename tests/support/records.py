"""Reading a whole topic with a plain client."""

from uuid import uuid4

from confluent_kafka import Consumer, KafkaError, TopicPartition


def read_topic(bootstrap: str, topic: str) -> list[bytes]:
    """Return the values of all committed records, partition by partition."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"reader-{uuid4().hex}",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )
    try:
        partitions = consumer.list_topics(topic, 10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, each, 0) for each in partitions])
        values: list[bytes] = []
        at_end = 0
        while at_end < len(partitions):
            message = consumer.poll(10)
            if message is None:
                raise AssertionError(f"{topic} cannot be read within 10 s")
            error = message.error()
            if error is None:
                values.append(message.value() or b"")
            elif error.code() == KafkaError._PARTITION_EOF:
                at_end += 1
            else:
                raise AssertionError(str(error))
        return values
    finally:
        consumer.close()
