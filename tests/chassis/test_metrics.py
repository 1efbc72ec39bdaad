"""Metrics: every sample has the label `service`, and names follow the conventions of Prometheus."""

import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

import services
from chassis.observability import metrics
from tests.chassis.harness import Harness
from tests.process import until

# Suffixes of units that are not base units, and suffixes that Prometheus reserves.
WRONG_SUFFIXES = (
    "_s",
    "_ms",
    "_millis",
    "_milliseconds",
    "_minutes",
    "_hours",
    "_days",
    "_kb",
    "_mb",
    "_count",
    "_sum",
)


def families(text: str) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(text)}


def declared() -> Iterator[Metric]:
    """The metrics that the chassis and the services declare."""
    for path in sorted(Path(next(iter(services.__path__))).glob("*/metrics.py")):
        importlib.import_module(f"services.{path.parent.name}.metrics")
    for family in REGISTRY.collect():
        if not family.name.startswith(("python_", "process_")):
            yield family


def test_every_sample_has_the_service_as_a_label() -> None:
    metrics.RECORDS_SKIPPED.labels("leads").inc()

    samples = [
        sample for family in families(metrics.exposition("intake").decode()).values() for sample in family.samples
    ]

    assert {sample.labels.get("service") for sample in samples} == {"intake"}
    assert {"python_info", "truce_records_skipped_total"} <= {sample.name for sample in samples}


def test_two_consumers_of_one_topic_have_a_lag_each() -> None:
    metrics.CONSUMER_LAG.labels("leads", "group-one").set(3)
    metrics.CONSUMER_LAG.labels("leads", "group-two").set(5)

    family = families(metrics.exposition("intake").decode())["truce_consumer_lag_records"]

    lags = {sample.labels["group"]: sample.value for sample in family.samples if sample.labels["topic"] == "leads"}
    assert lags["group-one"] == 3
    assert lags["group-two"] == 5


def test_metric_names_follow_the_conventions_of_prometheus() -> None:
    found = list(declared())

    assert found
    for family in found:
        assert family.name.startswith("truce_")
        assert not family.name.endswith(WRONG_SUFFIXES)
        # The client library leaves the suffix out of a counter's family name, and writes it to each of its samples.
        assert not family.name.endswith("_total")
        assert family.documentation
        if family.type == "counter":
            assert all(sample.name.endswith(("_total", "_created")) for sample in family.samples)


def test_no_metric_declares_the_label_service() -> None:
    for family in declared():
        assert all("service" not in sample.labels for sample in family.samples)


@pytest.mark.infra
async def test_a_running_service_exposes_the_lag_of_its_group_and_topic(sample: Harness) -> None:
    await sample.start()
    await sample.publish({"name": "name-0", "n": 0})
    await sample.results(1)

    labels = {"service": sample.service, "topic": sample.requests_topic, "group": sample.service}

    async def with_lag() -> dict[str, Metric] | None:
        found = families(await sample.metrics())
        lags = [one.labels for one in found["truce_consumer_lag_records"].samples]
        return found if labels in lags else None

    found = await until(with_lag, "the lag was measured")

    consumed = [one for one in found["truce_records_consumed"].samples if one.name.endswith("_total")]
    assert [one.value for one in consumed if one.labels == labels] == [1]
