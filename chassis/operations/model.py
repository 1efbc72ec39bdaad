"""The types of operations: what a person orders, how it is carried out, how it is answered."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from chassis.database.pool import Connection


@dataclass(frozen=True, slots=True)
class Performed:
    """The operation was carried out. `result`: what the person may want to know, such as an id."""

    result: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """The operation was not carried out. `reason` is a stable code."""

    reason: str


Outcome = Performed | Refused

Handle = Callable[[Connection, Any], Awaitable[Outcome]]
"""Transaction, operation → what became of it. What it writes is committed together with the answer, once."""


@dataclass(frozen=True, slots=True)
class Operations:
    """The operations of a service.

    `resume` and `skip` are the models of the operations that every service has, `handlers` is the model and the
    handler of each other. A model has `ce_type`, `topic`, `service`, `who` and `why`. `done` and `refused` are the
    models of the answers.
    """

    resume: type[Any]
    skip: type[Any]
    done: type[Any]
    refused: type[Any]
    handlers: Mapping[type[Any], Handle] = field(default_factory=dict)

    @property
    def topic(self) -> str:
        """The topic of the operations."""
        return str(self.resume.topic)

    @property
    def answers(self) -> str:
        """The topic of the answers."""
        return str(self.done.topic)
