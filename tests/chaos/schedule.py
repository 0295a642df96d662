"""What is killed, and when."""

import random
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Event", "Victim", "drawn"]

FIRST, LAST = 0.05, 0.75
"""Shares of the trials that have ended, between which all happens: after the last there must be
enough left to go on with."""


class Victim(StrEnum):
    WORKER = "worker"
    OWNER = "owner"
    NODE = "node"
    DRIVER = "driver"


@dataclass(frozen=True, kw_only=True)
class Event:
    victim: Victim
    share: float
    """Of the trials that have ended: it happens as soon as so many have."""
    which: float
    """In [0, 1): which one, where there are several."""
    late: bool
    """Of a node: whether it is begun again only after the next event, and not at once."""


def drawn(seed: int) -> tuple[Event, ...]:
    """Six events, in order: each kind of victim, and two more."""
    chance = random.Random(seed)
    victims = [*Victim, chance.choice([Victim.WORKER, Victim.OWNER]), chance.choice([*Victim])]
    chance.shuffle(victims)
    shares = sorted(chance.uniform(FIRST, LAST) for _ in victims)
    return tuple(
        Event(victim=victim, share=share, which=chance.random(), late=chance.random() < 0.5)
        for victim, share in zip(victims, shares, strict=True)
    )
