"""Who is next: tenants take turns, and a tenant's documents go in the order of their arrival."""


class Turns:
    """Keys that may begin. A tenant that has thousands of them delays another one by a single document."""

    def __init__(self) -> None:
        self._tenants: dict[bytes, dict[object, None]] = {}  # in the order of their turns
        self._tenant_of: dict[object, bytes] = {}

    def __contains__(self, key: object) -> bool:
        """Say whether a key waits here."""
        return key in self._tenant_of

    def __bool__(self) -> bool:
        """Say whether any key waits."""
        return bool(self._tenant_of)

    def add(self, key: object, tenant: bytes) -> None:
        """Put a key at the end of its tenant's; one that waits already keeps its place."""
        if key not in self._tenant_of:
            self._tenant_of[key] = tenant
            self._tenants.setdefault(tenant, {})[key] = None

    def first(self) -> object:
        """Return the key whose turn it is; it stays. Raises StopIteration where none waits."""
        return next(iter(next(iter(self._tenants.values()))))

    def take(self, key: object) -> None:
        """Remove a key that begins: its tenant's next turn comes after everybody else's."""
        tenant = self._tenant_of[key]
        self.discard(key)
        if tenant in self._tenants:
            self._tenants[tenant] = self._tenants.pop(tenant)

    def discard(self, key: object) -> None:
        """Remove a key, where it waits; no turn is used up."""
        tenant = self._tenant_of.pop(key, None)
        if tenant is not None:
            del self._tenants[tenant][key]
            if not self._tenants[tenant]:
                del self._tenants[tenant]

    def clear(self) -> None:
        """Forget all keys."""
        self._tenants.clear()
        self._tenant_of.clear()
