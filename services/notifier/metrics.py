"""Metrics of the notifier."""

from prometheus_client import Counter, Gauge

REPORTS = Counter(
    "truce_sms_reports_total",
    "Delivery reports by result: applied, repeated (adds nothing to what is known), unmatched (no such SMS), forged,"
    " unreadable, unavailable (the database was down)",
    ["provider", "result"],
)
DISABLED = Gauge(
    "truce_sms_provider_disabled",
    "1 while the provider is disabled because of an account error, otherwise 0",
    ["provider"],
)
BALANCE = Gauge("truce_sms_provider_balance_rubles", "Money left on the account at the provider", ["provider"])
