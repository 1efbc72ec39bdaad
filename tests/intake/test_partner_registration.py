"""Registration of partners: a rule without I/O."""

from contracts.partners import Partner
from services.intake.domain.model import PartnerState, Refused, Registered
from services.intake.domain.partners import register_partner
from tests.intake.driver import CAUSE, NOW, registration


def test_partner_is_published_when_new_and_when_changed_and_not_otherwise() -> None:
    made = register_partner(PartnerState(), registration("p1"), CAUSE, NOW)
    same = register_partner(made.state, registration("p2"), CAUSE, NOW)
    changed = register_partner(same.state, registration("p3", status="suspended"), CAUSE, NOW)

    assert [made.reply, same.reply, changed.reply] == [Registered(True), Registered(False), Registered(False)]
    assert [len(decision.events) for decision in (made, same, changed)] == [1, 0, 1]
    published = changed.events[0].message
    assert isinstance(published, Partner)
    assert published.status == "suspended"


def test_registration_on_a_topic_needs_the_scope() -> None:
    state = PartnerState(scopes={"demo": frozenset({"leads"})})

    decision = register_partner(state, registration(over_http=False), CAUSE, NOW)

    assert decision.reply == Refused("forbidden")
    assert decision.state.partner is None
