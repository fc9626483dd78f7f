"""How often something may be done: the rule of a leaky bucket, which fills call by call.

Where the buckets are kept, and whose they are, is not known here.
"""

from dataclasses import dataclass

_ANOTHER_CLOCK = 60.0
"""Seconds later than any bucket can be: one that is was filled before the clock began anew."""

_INSTANT = 1e-6
"""Seconds that are nothing but the rounding of numbers."""


@dataclass(frozen=True)
class Rate:
    """`calls` a second in the long run, `burst` at once after a rest.

    A bucket is one number: the time at which all that is in it will have leaked out, in seconds of
    any one clock (GCRA calls it the theoretical arrival time). One in the past is an empty bucket.
    """

    calls: float
    burst: int

    def wait(self, empty_at: float, now: float) -> float:
        """The seconds until the bucket has room for one call; 0 where it has it now."""
        over = self.counted(empty_at, now) - now - self.burst / self.calls
        return over if over > _INSTANT else 0

    def counted(self, empty_at: float, now: float) -> float:
        """The bucket with one call more in it."""
        latest = now + self.burst / self.calls + _ANOTHER_CLOCK
        begun = empty_at if now < empty_at <= latest else now
        return begun + 1 / self.calls
