"""How many blocks to ask for at once."""

FIRST, MOST = 2_000, 100_000
MANY_LOGS, FEW_LOGS = 20_000, 5_000


class Widths:
    """Grows where answers are small, shrinks where they are large or refused."""

    def __init__(self) -> None:
        self._width = FIRST

    def width(self) -> int:
        """Return the most blocks that a request should span."""
        return self._width

    def succeeded(self, width: int, logs: int) -> None:
        """Note that a request for so many blocks was answered with so many logs."""
        if logs > MANY_LOGS:
            self._width = max(1, width // 2)
        elif logs < FEW_LOGS:
            self._width = max(self._width, min(MOST, width * 2))

    def refused(self, width: int, limit: int | None) -> None:
        """Note that a request for so many blocks was too wide; `limit`: the most that the node says it allows."""
        self._width = max(1, min(width - 1, limit or width // 2))
