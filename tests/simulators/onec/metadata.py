"""`$metadata` and the service document, generated from the configuration."""

from functools import cache
from xml.sax.saxutils import quoteattr

from tests.simulators.onec.config import ENUMERATIONS, NAMESPACE, SETS, EntitySet, Field, Kind, Nature


def _row_type(entity: EntitySet) -> str:
    return f"{entity.name}_RowType"


def _property(entity: EntitySet, field: Field) -> str:
    kind = field.edm
    if field.kind is Kind.ROWS:
        kind = f"Collection({NAMESPACE}.{entity.name}_{field.name}_RowType)"
    # 1C allows an empty value in every field but the key.
    nullable = "false" if field.name in entity.key else "true"
    limit = f' MaxLength="{field.length}"' if field.length else ""
    return f'<Property Name={quoteattr(field.name)} Type={quoteattr(kind)} Nullable="{nullable}"{limit}/>'


def _entity_type(entity: EntitySet) -> str:
    key = "".join(f"<PropertyRef Name={quoteattr(name)}/>" for name in entity.key)
    properties = "".join(_property(entity, field) for field in entity.fields)
    text = f"<EntityType Name={quoteattr(entity.name)}><Key>{key}</Key>{properties}</EntityType>"
    if entity.nature is Nature.TABULAR:
        text += f"<ComplexType Name={quoteattr(_row_type(entity))}>{properties}</ComplexType>"
    return text


@cache
def metadata() -> bytes:
    """The EDMX document. 1C has it in XML only."""
    types = "".join(_entity_type(entity) for entity in SETS.values())
    enumerations = "".join(
        f"<EnumType Name={quoteattr(item.name)}>"
        + "".join(f'<Member Name={quoteattr(name)} Value="{n}"/>' for n, name in enumerate(item.values))
        + "</EnumType>"
        for item in ENUMERATIONS
    )
    sets = "".join(
        f"<EntitySet Name={quoteattr(name)} EntityType={quoteattr(f'{NAMESPACE}.{name}')}/>" for name in SETS
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<edmx:Edmx Version="1.0" xmlns:edmx="http://schemas.microsoft.com/ado/2007/06/edmx">'
        '<edmx:DataServices m:DataServiceVersion="3.0" m:MaxDataServiceVersion="3.0"'
        ' xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata">'
        f'<Schema Namespace="{NAMESPACE}" xmlns="http://schemas.microsoft.com/ado/2009/11/edm">'
        f"{types}{enumerations}"
        f'<EntityContainer Name="EnterpriseV8" m:IsDefaultEntityContainer="true">{sets}</EntityContainer>'
        "</Schema></edmx:DataServices></edmx:Edmx>"
    ).encode()
