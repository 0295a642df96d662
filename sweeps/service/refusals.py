"""What the service answers instead of doing it: a status of HTTP and one line."""

from __future__ import annotations

__all__ = ["Refusal"]


class Refusal(Exception):  # noqa: N818 it is an answer
    """An answer with `{"error": message}`.

    Args:
        status: of HTTP, 4xx, or 503 for what may be asked again later.
        message: one line that names the key, and never holds a secret.
    """

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        self.message = " ".join(message.split())
        super().__init__(status, self.message)  # so that it comes through from another process
