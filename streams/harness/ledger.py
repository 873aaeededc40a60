"""What may be committed: the lowest offset that was delivered and is not settled."""

from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Ledger:
    """Delivered and unsettled offsets of one partition.

    Faust 0.15.3 infers the position from runs of acknowledged offsets. That can skip a single unacknowledged one
    (upstream issue 606), and stops for ever at the control records that a transactional producer leaves in the log.
    Here only what was delivered counts, whatever lies between, and only a settled event moves the position.
    """

    end: int | None = None  # next offset expected; everything below was delivered
    _pending: dict[int, object] = field(default_factory=dict)  # offset -> the delivered message itself

    def deliver(self, offset: int, message: object) -> None:
        """Record a delivery. A redelivery takes the place of the earlier one."""
        self._pending[offset] = message
        self.end = max(self.end or 0, offset + 1)

    def settle(self, offset: int, message: object) -> None:
        """Forget an offset if this very delivery is the one that counts: word of an earlier one changes nothing."""
        if self._pending.get(offset) is message:
            del self._pending[offset]

    def position(self) -> int | None:
        """Return the offset to commit: all below it is settled. None before anything was delivered."""
        return min(self._pending) if self._pending else self.end
