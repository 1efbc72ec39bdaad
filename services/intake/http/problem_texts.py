"""Russian texts of problems. Titles name a problem; refusals point at a field and say what to do."""

from typing import Final, NamedTuple

TITLES: Final[dict[str, str]] = {
    "unauthorized": "Нужен действующий ключ портала",
    "forbidden": "Ключ портала не даёт права на это действие",
    "not-found": "Не найдено",
    "method-not-allowed": "Такой запрос здесь не принимается",
    "too-large": "Запрос больше 64 КиБ",
    "invalid": "Запрос заполнен неверно",
    "idempotency-key-required": "Нужен заголовок Idempotency-Key: до 255 видимых символов ASCII",
    "id-conflict": "Этот Idempotency-Key уже использован с другим содержанием",
    "unavailable": "Сейчас запрос принять нельзя, повторите позже: ничего не потеряно",
    "internal": "Внутренняя ошибка: она записана в журнал, повторите запрос позже с тем же Idempotency-Key",
    "invalid-phone": "Это не похоже на номер телефона",
    "invalid-name": "Укажите имя и фамилию буквами, до 150 символов",
    "no-consent": "Нужно согласие клиента на обработку персональных данных",
    "invalid-text": "Текст содержит недопустимые символы",
    "unknown-partner": "Партнёр с таким номером не зарегистрирован",
    "partner-suspended": "Работа партнёра приостановлена",
    "over-quota": "Партнёр подал слишком много заявок за час или за сутки, повторите позже",
    "over-limit": "У партнёра на проверке и закреплено столько клиентов, сколько разрешено",
    "unknown-lead": "Такой заявки у партнёра нет",
    "name-mismatch": "Имя не совпадает с тем, на которое оформлена заявка",
    "not-yours": "Это заявка другого партнёра",
    "who-asks": "Укажите либо партнёра, либо менеджера",
    "no-amount": "Для начисления нужны сумма больше нуля и валюта",
    "does-not-open": "Зашифрованные данные клиента не открываются нашим ключом",
}


class Refusal(NamedTuple):
    """Where a refusal points and what the user is to do. `field`: a dotted path in the body."""

    field: str
    message: str


REFUSALS: Final[dict[str, Refusal]] = {
    "forbidden": Refusal("", "Запрос: попросите застройщика дать ключу портала право на это действие"),
    "invalid-phone": Refusal(
        "client.phone", "Телефон: укажите номер с кодом города или оператора, например +7 916 555-01-23"
    ),
    "invalid-name": Refusal("client.full_name", "Имя и фамилия: укажите буквами, не больше 150 символов"),
    "no-consent": Refusal("consent", "Согласие: получите и отметьте согласие клиента на обработку персональных данных"),
    "invalid-text": Refusal("", "Запрос: уберите из текстов управляющие символы"),
    "unknown-partner": Refusal(
        "partner_id", "Партнёр: проверьте номер или зарегистрируйте партнёра, такого номера нет"
    ),
    "partner-suspended": Refusal(
        "partner_id", "Партнёр: работа приостановлена, обратитесь к менеджеру застройщика по работе с партнёрами"
    ),
    "over-limit": Refusal(
        "partner_id",
        "Партнёр: на проверке и закреплено столько клиентов, сколько разрешено; дождитесь ответа или конца закреплений",
    ),
    "unknown-lead": Refusal("lead_id", "Заявка: проверьте партнёра, телефон или номер заявки, такой заявки у него нет"),
    "name-mismatch": Refusal(
        "client.full_name", "Имя и фамилия: укажите так, как в заявке, сейчас они не совпадают с заявкой"
    ),
    "not-yours": Refusal("partner_id", "Партнёр: укажите партнёра, который подал заявку, это заявка другого партнёра"),
    "who-asks": Refusal("manager", "Менеджер: укажите либо менеджера, либо партнёра, только одного из них"),
    "no-amount": Refusal("amount", "Сумма: для начисления укажите сумму больше нуля и валюту"),
    "does-not-open": Refusal("client", "Клиент: зашифруйте данные заново открытым ключом из /.well-known/jwks.json"),
}

OTHER_REFUSAL: Final = Refusal("", "Запрос: в нём отказано, обратитесь к менеджеру застройщика по работе с партнёрами")
"""For a recorded reason without a text of its own: a repeated request is answered with the reason of the first."""
