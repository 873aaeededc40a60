"""How aiokafka is told where the broker is and who we are."""

import ssl
from typing import Any

from headwater.settings import KafkaSettings


def connection_options(settings: KafkaSettings) -> dict[str, Any]:
    """Return the options that aiokafka's consumer needs."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap_servers,
        "security_protocol": settings.security_protocol,
        "request_timeout_ms": int(settings.request_timeout_s * 1000),
    }
    if settings.security_protocol.endswith("SSL"):
        options["ssl_context"] = ssl.create_default_context(
            cafile=None if settings.ssl_ca_file is None else str(settings.ssl_ca_file)
        )
    if settings.sasl_mechanism is not None:
        password = settings.sasl_password
        options |= {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.sasl_username,
            "sasl_plain_password": None if password is None else password.get_secret_value(),
        }
    return options
