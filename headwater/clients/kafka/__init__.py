"""Kafka for everything that is not a Faust stage: admission, connectors, the API, followers, the command line."""
