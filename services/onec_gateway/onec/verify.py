"""Verifies that 1C matches the mapping, before the gateway writes there: names, types, lengths and rights to read.

1C ignores a field with a wrong name and cuts off what is too long, both without an error. So the gateway exchanges
nothing with 1C until the mapping has no mistakes.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Final

import structlog

from chassis.service import Runtime, backoff_s
from services.onec_gateway.onec import metadata
from services.onec_gateway.onec.client import OneC
from services.onec_gateway.onec.compare import Problem, compare, sections, similar
from services.onec_gateway.onec.errors import NoAnswer, NoRights, OneCError, Refused
from services.onec_gateway.onec.exchange import Call
from services.onec_gateway.onec.gate import Gate
from services.onec_gateway.onec.mapping import Mapping as Names
from services.onec_gateway.onec.metadata import EntitySet

log = structlog.get_logger(__name__)

FIRST_RETRY_S: Final = 1.0
LAST_RETRY_S: Final = 20.0  # with the jitter of the backoff at most 30 seconds
NOT_VERIFIED: Final = "not-verified"
_CALL: Final = Call("verify", ignore_holds=True, retry_after_s=LAST_RETRY_S)
_WRITTEN_SECTIONS: Final = frozenset({"clients", "general_journal", "partner_journal"})


@dataclass(frozen=True, slots=True)
class Verified:
    """The result of a verification: the problems found, and the published sets by name."""

    problems: tuple[Problem, ...]
    sets: Mapping[str, EntitySet]

    @property
    def is_good(self) -> bool:
        """Whether there are no errors; warnings are allowed."""
        return all(problem.severity != "error" for problem in self.problems)

    def length(self, entity: str, name: str) -> int | None:
        """How many characters 1C stores in a field of a set; None if there is no limit."""
        found = self.sets.get(entity)
        field = found.fields.get(name) if found is not None else None
        return field.length if field is not None else None


async def verify(onec: OneC, names: Names) -> Verified:
    """Compare the mapping with `$metadata` and read one row of each set. Writes nothing.

    Raises NoAnswer and NotReached if 1C cannot be verified at present.
    """
    try:
        sets = metadata.parse(await onec.metadata(_CALL))
    except ValueError:
        raise NoAnswer("not-1c", 200) from None
    problems = list(compare(names, sets))
    for section, mapped in sections(names):
        if mapped["set"] in sets:
            problems.extend([problem async for problem in _rights(onec, section, mapped["set"], sets[mapped["set"]])])
    if not any(problem.severity == "error" for problem in problems):
        problems.extend(await _phone_kind(onec, names))
    return Verified(tuple(problems), sets)


async def _rights(onec: OneC, section: str, name: str, entity: EntitySet) -> AsyncIterator[Problem]:
    """Try the right to read. Only a write would show whether there is a right to write."""
    key = next(iter(entity.key), next(iter(entity.fields)))
    try:
        await onec.find(_CALL, name, "", (key,), top=1)
    except NoRights:
        rights = "чтение и изменение" if section in _WRITTEN_SECTIONS else "чтение"
        message = f"у пользователя обмена нет права чтения {name}: добавьте в его роль {rights} этого объекта"
        yield Problem("error", f"[{section}] set", message)
    except Refused as error:
        yield Problem("error", f"[{section}] set", f"1С отказала в чтении {name}: {error.text or error.reason}")


async def _phone_kind(onec: OneC, names: Names) -> list[Problem]:
    kinds = names.phone_kinds
    if await onec.find(_CALL, kinds.set, f"{kinds.name} eq '{kinds.client_phone}'", (kinds.ref,)):
        return []
    rows = await onec.find(_CALL, kinds.set, "", (kinds.name,), top=100)
    others = [str(row.get(kinds.name)) for row in rows if row.get(kinds.name)]
    message = f"в {kinds.set} нет вида «{kinds.client_phone}»{similar(kinds.client_phone, others)}"
    return [Problem("error", "[phone_kinds] client_phone", message)]


class Verification:
    """Holds the gate to 1C until a verification finds no errors. Afterwards it supplies the lengths of fields."""

    def __init__(self, onec: OneC, names: Names, gate: Gate) -> None:
        self._onec = onec
        self._names = names
        self._gate = gate
        self._verified: Verified | None = None
        gate.hold(NOT_VERIFIED)

    def length(self, entity: str, name: str) -> int | None:
        """How many characters 1C stores in a field of a set; None if there is no limit or no verification yet."""
        return self._verified.length(entity, name) if self._verified is not None else None

    def why_not_ready(self) -> str | None:
        """Why the gateway does not exchange data with 1C yet, for the readiness check; None once it does."""
        if self._verified is None:
            return "1C was not verified yet, or did not answer"
        errors = sum(problem.severity == "error" for problem in self._verified.problems)
        return f"the mapping has {errors} mistakes: see the log, or run `verify`" if errors else None

    async def run(self, _: Runtime) -> None:
        """Verify again and again until there are no errors, then release the gate and sleep until cancelled."""
        for attempt in count(1):
            try:
                self._verified = await verify(self._onec, self._names)
            except OneCError as error:
                log.warning("verification_failed", reason=error.reason, message="1С пока не проверена")
            else:
                _log_problems(self._verified)
                if self._verified.is_good:
                    break
            await asyncio.sleep(backoff_s(attempt, FIRST_RETRY_S, LAST_RETRY_S))
        log.info("mapping_verified", message="Соответствие проверено, обмен с 1С начат")
        self._gate.release(NOT_VERIFIED)
        await asyncio.Event().wait()


def _log_problems(verified: Verified) -> None:
    for problem in verified.problems:
        if problem.severity == "error":
            log.error("mapping_mistake", place=problem.place, message=problem.message)
        else:
            log.warning("mapping_warning", place=problem.place, message=problem.message)
