"""The infobase's configuration as data. `$metadata` and the behaviour of all sets are derived from it."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

NAMESPACE = "StandardODATA"


class Kind(StrEnum):
    """Types of fields, by their OData names."""

    GUID = "Edm.Guid"
    STRING = "Edm.String"
    BOOLEAN = "Edm.Boolean"
    DATETIME = "Edm.DateTime"
    INT64 = "Edm.Int64"
    DOUBLE = "Edm.Double"
    ENUM = "enum"
    ROWS = "rows"


class Nature(StrEnum):
    """The kind of 1C object that a set publishes."""

    CATALOG = "catalog"
    DOCUMENT = "document"
    REGISTER = "register"  # an independent information register
    TABULAR = "tabular"  # the rows of a tabular part, published as a set of their own


@dataclass(frozen=True, slots=True)
class Enumeration:
    """A 1C enumeration: a type with named values."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Field:
    """One field. A string of length 0 has no limit.

    `rows` are the fields of a tabular part, `refers` is the set that a reference points to.
    """

    name: str
    kind: Kind
    length: int = 0
    enumeration: Enumeration | None = None
    rows: tuple["Field", ...] = ()
    refers: str = ""

    @property
    def unlimited(self) -> bool:
        """Whether the field is a string without a limit: 1C can search in it, but not compare or sort by it."""
        return self.kind is Kind.STRING and self.length == 0

    @property
    def edm(self) -> str:
        """The type's name in `$metadata` and in error texts."""
        return f"{NAMESPACE}.{self.enumeration.name}" if self.enumeration else str(self.kind)


@dataclass(frozen=True)
class EntitySet:
    """A set as the standard interface publishes it.

    For the rows of a tabular part, `parent` is the name of the owner's set and `part` the name of the tabular part.
    """

    name: str
    nature: Nature
    fields: tuple[Field, ...]
    key: tuple[str, ...] = ("Ref_Key",)
    parent: str = ""
    part: str = ""

    @cached_property
    def by_name(self) -> dict[str, Field]:
        """The fields by their names."""
        return {field.name: field for field in self.fields}

    @cached_property
    def navigation(self) -> dict[str, Field]:
        """The reference fields by their names in `$expand`."""
        return {field.name.removesuffix("_Key"): field for field in self.fields if field.refers}


def _guid(name: str, refers: str = "") -> Field:
    return Field(name, Kind.GUID, refers=refers)


def _string(name: str, length: int = 0) -> Field:
    return Field(name, Kind.STRING, length)


def _flag(name: str) -> Field:
    return Field(name, Kind.BOOLEAN)


def _date(name: str) -> Field:
    return Field(name, Kind.DATETIME)


CONTACT_TYPES = Enumeration("ТипыКонтактнойИнформации", ("Адрес", "Телефон", "АдресЭлектроннойПочты", "Другое"))

_CONTACTS = Field(
    "КонтактнаяИнформация",
    Kind.ROWS,
    rows=(
        _guid("Ref_Key"),
        Field("LineNumber", Kind.INT64),
        Field("Тип", Kind.ENUM, enumeration=CONTACT_TYPES),
        _guid("Вид_Key"),
        _string("Представление", 500),
        _string("ЗначенияПолей"),
        _string("Значение"),
        _string("НомерТелефона", 20),
        _string("НомерТелефонаБезКодов", 20),
        _string("АдресЭП", 100),
        _string("ДоменноеИмяСервера", 100),
        _string("Страна", 100),
        _string("Регион", 50),
        _string("Город", 50),
        _guid("ВидДляСписка_Key"),
    ),
)


def _catalog(name: str, *own: Field, description: int = 150) -> EntitySet:
    standard = (
        _guid("Ref_Key"),
        _string("DataVersion", 12),
        _flag("DeletionMark"),
        _string("Code", 11),
        _string("Description", description),
        _flag("Predefined"),
        _string("PredefinedDataName", 256),
    )
    return EntitySet(f"Catalog_{name}", Nature.CATALOG, standard + own)


def _document(name: str, *own: Field) -> EntitySet:
    standard = (
        _guid("Ref_Key"),
        _string("DataVersion", 12),
        _flag("DeletionMark"),
        _string("Number", 11),
        _date("Date"),
        _flag("Posted"),
    )
    return EntitySet(f"Document_{name}", Nature.DOCUMENT, standard + own)


PARTNERS = _catalog("Партнеры", _string("НаименованиеПолное"), _string("Комментарий"), _CONTACTS)
PARTNER_CONTACTS = _catalog("КонтактныеЛицаПартнеров", _guid("Owner_Key"), _string("Комментарий"), _CONTACTS)
CLIENTS = _catalog(
    "CRM_ПотенциальныеКлиенты",
    _guid("Партнер_Key", "Catalog_Партнеры"),
    _guid("Ответственный_Key", "Catalog_Пользователи"),
    _string("Комментарий"),
    _date("ДатаСоздания"),
    _CONTACTS,
)
ENQUIRIES = _document(
    "CRM_Интерес",
    _string("Тема", 150),
    _guid("ПотенциальныйКлиент_Key", CLIENTS.name),
    _guid("Ответственный_Key", "Catalog_Пользователи"),
    _string("Комментарий"),
)
# A sale. The set's name is invented, since it differs at every customer; its fields are usual for a document.
DEALS = _document(
    "ДоговорПродажи",
    _guid("ПотенциальныйКлиент_Key", CLIENTS.name),
    Field("СуммаДокумента", Kind.DOUBLE),
    _string("Валюта", 3),
    _string("НомерДоговора", 50),
    _date("ДатаДоговора"),
    _string("Комментарий"),
)
USERS = _catalog("Пользователи", _flag("Недействителен"), _CONTACTS, description=100)
CONTACT_KINDS = _catalog("ВидыКонтактнойИнформации", Field("Тип", Kind.ENUM, enumeration=CONTACT_TYPES))
_ENTRY = (
    _string("ИдентификаторЛида", 36),
    _string("ФИО", 150),
    _string("Телефон", 20),
    _string("Партнер", 150),
    _string("ИдентификаторПартнера", 64),
    _string("НомерДоговора", 50),
    _date("ДатаРегистрации"),
    _date("ЗакрепленДо"),
    _string("Состояние", 20),
)
PARTNER_JOURNAL = EntitySet(
    "InformationRegister_ЖурналПартнеров",
    Nature.REGISTER,
    (*_ENTRY, _string("Комментарий", 1024)),
    key=("ИдентификаторЛида",),
)
# The same journal as documents: the lead id is not unique here.
PARTNER_DOCUMENTS = _document("ЗаявкаПартнера", *_ENTRY, _string("Комментарий"))


def _with_tabular_sets(sets: tuple[EntitySet, ...]) -> dict[str, EntitySet]:
    known: dict[str, EntitySet] = {}
    for entity in sets:
        known[entity.name] = entity
        for part in (field for field in entity.fields if field.kind is Kind.ROWS):
            name = f"{entity.name}_{part.name}"
            known[name] = EntitySet(
                name, Nature.TABULAR, part.rows, ("Ref_Key", "LineNumber"), parent=entity.name, part=part.name
            )
    return known


SETS = _with_tabular_sets(
    (
        PARTNERS,
        PARTNER_CONTACTS,
        CLIENTS,
        ENQUIRIES,
        DEALS,
        USERS,
        CONTACT_KINDS,
        PARTNER_JOURNAL,
        PARTNER_DOCUMENTS,
    )
)
ENUMERATIONS = (CONTACT_TYPES,)

# Rows that the vendor or an administrator created before the first use. The references are fixed, so that a reset
# gives the same infobase again.
CLIENT_PHONE_KIND = "5b0fdc3a-52d4-4a2e-9a57-0d1c6f3c0001"
MANAGER = "5b0fdc3a-52d4-4a2e-9a57-0d1c6f3c0002"
PREDEFINED: dict[str, tuple[dict[str, object], ...]] = {
    CONTACT_KINDS.name: (
        {
            "Ref_Key": CLIENT_PHONE_KIND,
            "Description": "Телефон потенциального клиента",
            "Predefined": True,
            "PredefinedDataName": "ТелефонПотенциальногоКлиента",
            "Тип": "Телефон",
        },
    ),
    USERS.name: ({"Ref_Key": MANAGER, "Description": "Менеджер отдела продаж"},),
}
