"""What the notifier counts."""

from prometheus_client import Counter, Gauge

REPORTS = Counter(
    "truce_sms_reports_total",
    "Providers' reports: news, repeated, unknown (no such message), forged, unreadable",
    ["provider", "result"],
)
BARRED = Gauge(
    "truce_sms_provider_barred", "1 while nothing goes through the provider until a person acts", ["provider"]
)
BALANCE = Gauge("truce_sms_provider_balance", "Money left at the provider, in its own currency", ["provider"])
