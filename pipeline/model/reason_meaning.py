"""The meaning of a reason's code."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Meaning:
    """The meaning of a code, and what a person can do about it."""

    says: str
    remedy: str
