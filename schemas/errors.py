"""What can be wrong with an event. `headwater` maps these to its own recoveries; this package imports nothing of it."""


class ContractError(ValueError):
    """An event, schema or catalogue file breaks the contract. The text names the field or file and the remedy."""


class UnencodableError(ContractError):
    """A value does not fit its event's schema: a bug of the producer."""


class UndecodableError(ContractError):
    """These bytes are not an event of the wanted type. They can never be read: park them."""


class UnknownSchemaError(UndecodableError):
    """The framing names a schema id that is not registered: damaged bytes, or a producer newer than this consumer."""
