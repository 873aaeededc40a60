"""Reading a whole topic with a plain client."""

from uuid import uuid4

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition


def read_topic(bootstrap: str, topic: str) -> list[bytes]:
    """Return the values of all committed records, partition by partition."""
    return [message.value() or b"" for message in read_messages(bootstrap, topic)]


def read_messages(bootstrap: str, topic: str) -> list[Message]:
    """Return all committed records with their keys and headers, partition by partition."""
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
        messages: list[Message] = []
        at_end = 0
        while at_end < len(partitions):
            message = consumer.poll(10)
            if message is None:
                raise AssertionError(f"{topic} cannot be read within 10 s")
            error = message.error()
            if error is None:
                messages.append(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                at_end += 1
            else:
                raise AssertionError(str(error))
        return messages
    finally:
        consumer.close()
