"""The commands `resume` and `skip` of every service, and what a command of another operation needs."""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, NoReturn
from uuid import uuid4

import typer
from pydantic import ValidationError

from chassis.operations.model import Operations, Outcome, Performed, Refused
from chassis.operations.ordering import NotOrdered as NotOrdered
from chassis.operations.ordering import order
from chassis.settings import KafkaSettings, load

Who = Annotated[str, typer.Option(help="кто решил")]
Why = Annotated[str, typer.Option(help="почему")]
Wait = Annotated[float, typer.Option(min=0, help="сколько секунд ждать ответа сервиса")]
AsJson = Annotated[bool, typer.Option("--json", help="напечатать один объект JSON")]
Topic = Annotated[str, typer.Argument(help="топик")]

WAIT_S: Final = 30.0
DONE: Final = 0
REFUSED: Final = 1
UNANSWERED: Final = 2

_REFUSALS: Final = {
    "not-paused": "топик не приостановлен",
    "not-read": "сервис не читает такой топик",
    "unknown-partition": "у топика нет такой партиции",
    "already-handled": "запись уже обработана или пропущена",
    "beyond-the-end": "такой записи ещё нет: это за концом партиции",
    "not-stuck": "чтение стоит не на этой записи: пропустить можно только ту, что его останавливает",
    "unknown-operation": "эта версия сервиса не знает такой операции",
    "invalid": "сервис не смог прочитать операцию",
    "failed": "операция завершилась ошибкой, она в логе сервиса",
}


def add_commands(app: typer.Typer, name: str, operations: Operations) -> None:
    """Add `resume` and `skip` to the command line of service `name`."""

    @app.command()
    def resume(topic: Topic, who: Who = "", why: Why = "", wait: Wait = WAIT_S, as_json: AsJson = False) -> None:
        """Читать дальше топик, который приостановила защита от негодных записей. Причина уже устранена.

        Код выхода: 0 выполнено, 1 отказано, 2 ответа нет, операция осталась в очереди.
        """
        carry_out(
            operations,
            lambda: operations.resume(service=name, who=who, why=why, topic=topic),
            f"{name} читает {topic} дальше",
            wait_s=wait,
            as_json=as_json,
        )

    @app.command()
    def skip(
        topic: Topic,
        partition: Annotated[int, typer.Argument(help="номер партиции")],
        offset: Annotated[int, typer.Argument(help="смещение записи")],
        who: Who = "",
        why: Why = "",
        wait: Wait = WAIT_S,
        as_json: AsJson = False,
    ) -> None:
        """Пропустить запись, которую нельзя прочитать или обработать: о ней остаётся письмо в dead-letters.

        Код выхода: 0 выполнено, 1 отказано, 2 ответа нет, операция осталась в очереди.
        """
        carry_out(
            operations,
            lambda: operations.skip(service=name, who=who, why=why, topic=topic, partition=partition, offset=offset),
            f"запись {topic}/{partition}/{offset} пропущена",
            wait_s=wait,
            as_json=as_json,
        )


async def ordered(operations: Operations, operation: Any, within_s: float) -> Outcome | None:
    """Order an operation as a part of another command. Returns its answer; None if there is none after `within_s`
    seconds. Raises NotOrdered."""
    return await order(load(KafkaSettings), operations, operation, uuid4(), within_s)


def carry_out(
    operations: Operations,
    make: Callable[[], Any],
    done: str,
    *,
    wait_s: float,
    as_json: bool,
    refusals: Mapping[str, str] = _REFUSALS,
) -> NoReturn:
    """Order the operation that `make` returns, print what became of it, and end with its exit code.

    `done` is the text for success, `refusals` the texts of the reasons for a refusal.
    """
    identity = uuid4()

    def finish(code: int, outcome: str, text: str, reason: str | None = None, **more: Any) -> NoReturn:
        if as_json:
            typer.echo(json.dumps({"operation": str(identity), "outcome": outcome, "reason": reason, **more}))
        else:
            typer.echo(text, err=code != DONE)
        raise typer.Exit(code)

    try:
        operation = make()
    except ValidationError as error:
        fields = ", ".join(sorted({str(one["loc"][0]) for one in error.errors(include_input=False)}))
        finish(REFUSED, "refused", f"отказано: пустое или неверное значение: {fields}", "invalid", fields=fields)
    try:
        outcome = asyncio.run(order(load(KafkaSettings), operations, operation, identity, wait_s))
    except NotOrdered as error:
        finish(REFUSED, "not-ordered", f"не отправлено: {error}", str(error))
    match outcome:
        case Performed(result):
            finish(DONE, "done", f"выполнено: {done}", result=result)
        case Refused(reason):
            finish(REFUSED, "refused", f"отказано: {refusals.get(reason, reason)}", reason)
    text = f"ответа нет {wait_s:g} с: операция {identity} осталась в очереди, сервис выполнит её, когда сможет"
    finish(UNANSWERED, "unanswered", text)
