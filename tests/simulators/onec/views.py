"""The journals as the control calls return them: readable names, dates with offsets."""

from datetime import datetime, tzinfo
from typing import Any

from tests.simulators.onec.config import CLIENTS, ENQUIRIES, PARTNER_DOCUMENTS, PARTNER_JOURNAL
from tests.simulators.onec.store import Infobase
from tests.simulators.onec.values import EMPTY_DATE


def with_offset(naive: str, zone: tzinfo) -> str | None:
    """A date of 1C as RFC 3339 with the infobase's offset; None for the empty date."""
    return None if naive == EMPTY_DATE else datetime.fromisoformat(naive).replace(tzinfo=zone).isoformat()


def partner_journal(infobase: Infobase, zone: tzinfo) -> list[dict[str, Any]]:
    """The entries of the partner journal, in the register and in documents; `record` is the row itself."""
    entries = [
        {
            "lead_id": row["ИдентификаторЛида"],
            "full_name": row["ФИО"],
            "phone": row["Телефон"],
            "partner": row["Партнер"],
            "partner_id": row["ИдентификаторПартнера"],
            "agreement": row["НомерДоговора"],
            "registered_at": with_offset(row["ДатаРегистрации"], zone),
            "reserved_through": None if row["ЗакрепленДо"] == EMPTY_DATE else row["ЗакрепленДо"][:10],
            "state": row["Состояние"],
            "comment": row["Комментарий"],
            "record": row,
        }
        for entity in (PARTNER_JOURNAL, PARTNER_DOCUMENTS)
        for row in infobase.scan(entity)
        if not row.get("DeletionMark")
    ]
    return sorted(entries, key=lambda entry: (entry["record"]["ДатаРегистрации"], entry["lead_id"]))


def general_journal(infobase: Infobase, zone: tzinfo) -> list[dict[str, Any]]:
    """The enquiries of the general journal, each with the name and phones on its client's card."""
    cards = {row["Ref_Key"]: row for row in infobase.scan(CLIENTS)}
    entries = []
    for row in sorted(infobase.scan(ENQUIRIES), key=lambda row: (row["Date"], row["Number"])):
        card = cards.get(row["ПотенциальныйКлиент_Key"], {})
        contacts = [contact for contact in card.get("КонтактнаяИнформация", []) if contact["Тип"] == "Телефон"]
        entries.append(
            {
                "ref": row["Ref_Key"],
                "number": row["Number"],
                "date": with_offset(row["Date"], zone),
                "subject": row["Тема"],
                "comment": row["Комментарий"],
                "client_ref": row["ПотенциальныйКлиент_Key"],
                "full_name": card.get("Description", ""),
                "phones": [contact["НомерТелефона"] or contact["Представление"] for contact in contacts],
                "posted": row["Posted"],
                "deletion_mark": row["DeletionMark"],
            }
        )
    return entries
