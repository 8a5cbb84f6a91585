"""What was handled already."""

from collections import OrderedDict
from collections.abc import Awaitable
from typing import Protocol


class Store(Protocol):
    """Give one of your own, in the database that the handler writes to, to drop what comes twice across restarts: `add` may then do nothing,
    where the handler has stored `id` and `revision` in the transaction of its effect. The methods may be coroutines."""

    def has(self, id: str, revision: int) -> bool | Awaitable[bool]: ...

    def add(self, id: str, revision: int) -> None | Awaitable[None]: ...

    def is_withdrawn(self, id: str) -> bool | Awaitable[bool]: ...

    def withdraw(self, id: str) -> None | Awaitable[None]: ...


class Window:
    """The last `size` events and withdrawals of this process, in memory."""

    def __init__(self, size: int = 10_000) -> None:
        self.size = size
        self._handled: OrderedDict[tuple[str, int], None] = OrderedDict()
        self._withdrawn: OrderedDict[str, None] = OrderedDict()

    def has(self, id: str, revision: int) -> bool:
        return (id, revision) in self._handled

    def add(self, id: str, revision: int) -> None:
        self._handled[(id, revision)] = None
        if len(self._handled) > self.size:
            self._handled.popitem(last=False)

    def is_withdrawn(self, id: str) -> bool:
        return id in self._withdrawn

    def withdraw(self, id: str) -> None:
        self._withdrawn[id] = None
        if len(self._withdrawn) > self.size:
            self._withdrawn.popitem(last=False)
