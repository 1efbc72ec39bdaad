"""Metrics of intake; the chassis adds the label `service` at exposition."""

from prometheus_client import Counter

REQUESTS_REFUSED = Counter("truce_requests_refused_total", "Requests over HTTP refused by a rule", ["reason"])
