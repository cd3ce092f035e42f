"""All limits of a run: of everything, of writes, and of each container."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from msgspec import Struct

from migrator.core.pacing import Pace, Range
from migrator.transport.throttle.gate import NO_PAUSE, Gate, Pause
from migrator.transport.throttle.pacer import Pacer
from migrator.transport.throttle.window import Window


class Past(Struct, frozen=True):
    """What was let through, and still counts, before a throttle was made.

    Attributes:
        overall: since when each send counts, on the monotonic clock, ascending.
        writes: the same of writes alone.
        own: the same by container.
        pause: the last one, which may be over.
        pace: how fast everything could go, if that was being found out.
    """

    overall: Sequence[float] = ()
    writes: Sequence[float] = ()
    own: Mapping[str, Sequence[float]] = {}
    pause: Pause = NO_PAUSE
    pace: Pace | None = None


NOTHING = Past()


class Throttle:
    """The limits of a run. It implements `ports.Throttle`.

    A run has one api key, so that the limit of everything is that of the key.
    """

    def __init__(
        self,
        *,
        rate: float | Range = 0.0,
        write_rate: float = 0.0,
        container_rate: float = 0.0,
        strict: bool = False,
        past: Past = NOTHING,
    ) -> None:
        """Limit the run.

        Args:
            rate: requests a second, all together; 0 for no limit; a range to find it in.
            write_rate: writes a second, all together; 0 for no limit of their own.
            container_rate: requests a second for each container; 0 for no limit.
            strict: whether the limits hold at the service, and not only here, see `window`.
            past: what was sent before, under the same limits.
        """
        self.gate = Gate(past.pause)
        self.pauses = 0
        self._pacer = None
        if isinstance(rate, Range):
            self._pacer = Pacer(rate, past.pace)
            rate = self._pacer.pace.rate

        def window(limit: float, sends: Sequence[float] = ()) -> Window:
            return Window(limit, self.gate, strict=strict, past=sends)

        self._overall = [window(rate, past.overall)] if rate else []
        self._of_writes = [*([window(write_rate, past.writes)] if write_rate else []), *self._overall]
        self._own = defaultdict[str, Window](lambda: window(container_rate)) if container_rate else None
        self._limits_nothing = not (self._of_writes or container_rate)
        if self._own is not None:
            self._own.update((name, window(container_rate, sends)) for name, sends in past.own.items())

    @property
    def past(self) -> Past:
        """What the next throttle has to know, when nobody uses this one any more."""
        return Past(
            overall=self._overall[0].books.past if self._overall else (),
            writes=self._of_writes[0].books.past if len(self._of_writes) > len(self._overall) else (),
            own={name: window.books.past for name, window in (self._own or {}).items()},
            pause=self.gate.pause,
            pace=self.pace,
        )

    def _windows(self, container: str, *, write: bool) -> Sequence[Window]:
        # The narrower limit comes first, so that what is slow does not hold places of everything else.
        shared = self._of_writes if write else self._overall
        return shared if self._own is None else [self._own[container], *shared]

    @property
    def rate(self) -> float:
        """Requests a second that everything may take together at the moment; 0 for no limit."""
        return self._overall[0].books.rate if self._overall else 0.0

    @property
    def pace(self) -> Pace | None:
        """How fast everything may go at the moment, if that is found out; `None` if it was said."""
        return self._pacer.pace if self._pacer else None

    @property
    def free(self) -> bool:
        """Whether everybody may send at once, without asking for a permit."""
        return self._limits_nothing and self.gate.is_open

    def rest_s(self, container: str) -> float:
        """Return for how many seconds `container` has no permit of its own to give; 0 or less if it has."""
        return 0.0 if self._own is None else self._own[container].wait_s()

    async def permit(self, container: str, *, write: bool = False) -> bool:
        """Wait for leave to send one request to `container`.

        Returns:
            `True`: send, and call `sent` at that moment, or `returned` if it comes to nothing. `False`: the run stops.
        """
        windows = self._windows(container, write=write)
        if not windows:
            return await self.gate.passed()
        with ExitStack() as taken:
            for window in windows:
                if not await window.permit():
                    return False
                taken.callback(window.books.returned)
            if not await self.gate.passed():
                return False
            taken.pop_all()
            return True

    async def due(self, container: str, *, write: bool = False) -> bool:
        """Return `True`: a permit is good from when it is given."""
        del container, write
        return True

    def sent(self, container: str, *, write: bool = False) -> None:
        """Note that a request to `container` leaves now."""
        for window in self._windows(container, write=write):
            window.books.sent()
        if self._pacer:
            self._pacer.sent()

    def answered(self, container: str, *, write: bool = False, refused: bool = False) -> None:
        """Note that what was sent to `container` is answered, or given up.

        Args:
            container: where it was sent.
            write: whether it was a write.
            refused: whether the answer is that requests come too fast.
        """
        for window in self._windows(container, write=write):
            window.books.answered()
        if self._pacer:
            self._overall[0].books.rate = self._pacer.answered(refused=refused)

    def returned(self, container: str, *, write: bool = False) -> None:
        """Take back a permit for `container` that will not be used."""
        for window in self._windows(container, write=write):
            window.books.returned()

    def pause(self, seconds: float, reason: str) -> None:
        """Stop everybody for `seconds`. A permit that is already given may still be used."""
        self.pauses += 1
        self.gate.shut(seconds, reason)
        if self._pacer:
            self._pacer.paused(self.gate.pause.until)

    def close(self) -> None:
        """Let nobody wait any longer: the run stops. A permit that is already given may still be used."""
        self.gate.close()
