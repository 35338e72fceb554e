"""The text of /metrics, and which text a scraper gets."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from exporter.metrics.catalog import CATALOG, Spec
from exporter.metrics.exposition import EOF, OPENMETRICS, TEXT, Family, negotiate, render

GAUGE = Spec("cost", "gauge", ("service", "currency"), 'What it "cost"\\or\nnot.')
COUNTER = Spec("polls_total", "counter", (), "Polls.")

values = st.decimals(-(10**14) + 1, 10**14 - 1, places=24)
label_sets = st.dictionaries(st.tuples(st.text(max_size=12), st.just("USD")), values, max_size=8)


@given(label_sets)
def test_what_is_rendered_is_what_a_parser_reads(samples: dict[tuple[str, ...], Decimal]) -> None:
    body = render([Family(GAUGE, list(samples.items()))]).decode()
    found = {
        tuple(sample.labels[label] for label in GAUGE.labels): sample.value
        for family in parse(body)
        for sample in family.samples
    }
    assert found == {labels: float(value) for labels, value in samples.items()}


def test_amounts_keep_every_digit() -> None:
    body = render([Family(GAUGE, [(("s", "USD"), Decimal("-0.000000000000000000000001"))])]).decode()
    assert body.splitlines()[-1] == 'cost{service="s",currency="USD"} -0.000000000000000000000001'


def test_both_forms_say_the_same_and_name_counters_as_each_wants() -> None:
    families = [Family(GAUGE, [(("s", "USD"), Decimal(1))]), Family(COUNTER, [((), 3)])]
    text, openmetrics = render(families).decode(), (render(families, openmetrics=True) + EOF).decode()
    assert "# TYPE polls_total counter\npolls_total 3\n" in text
    assert "# TYPE polls counter\npolls_total 3\n" in openmetrics
    read = [
        [(s.name, s.labels, s.value) for family in forms for s in family.samples]
        for forms in (parse(text), parse_openmetrics(openmetrics))
    ]
    assert read[0] == read[1]


def test_a_family_without_samples_is_left_out() -> None:
    assert render([Family(GAUGE, [])]) == b""


def test_a_label_set_that_stands_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="cost: a label set stands twice"):
        render([Family(GAUGE, [(("s", "USD"), 1), (("s", "USD"), 2)])])


def test_a_sample_with_too_few_labels_is_refused() -> None:
    with pytest.raises(ValueError, match="1 label values for 2 labels"):
        render([Family(GAUGE, [(("s",), 1)])])


@pytest.mark.parametrize(
    ("accept", "openmetrics"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain", False),
        ("application/openmetrics-text", True),
        ("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", True),
        ("application/openmetrics-text;q=0.2,text/plain;q=0.5", False),
        ("application/openmetrics-text;q=0", False),
        ("application/openmetrics-text;q=nonsense", False),
        ("text/html,application/xhtml+xml,*/*;q=0.8", False),
    ],
)
def test_the_form_follows_the_q_values_of_accept(accept: str, openmetrics: bool) -> None:
    form = negotiate(accept, "")
    assert form.openmetrics is openmetrics
    assert form.content_type == (OPENMETRICS if openmetrics else TEXT)


@pytest.mark.parametrize(
    ("encoding", "gzip"),
    [
        ("", False),
        ("identity", False),
        ("gzip", True),
        ("zstd, gzip;q=0.5", True),
        ("gzip;q=0", False),
        ("*", True),
        ("gzip;q=0.3, identity;q=0.8", False),
        ("deflate, br", False),
    ],
)
def test_compression_follows_the_q_values_of_accept_encoding(encoding: str, gzip: bool) -> None:
    assert negotiate("", encoding).gzip is gzip


def test_the_catalogue_keeps_the_house_rules() -> None:
    reserved = {"job", "instance", "le", "quantile", "__name__"}
    for name, spec in CATALOG.items():
        assert name == spec.name
        assert name.startswith("cloudspend_")
        assert name.endswith("_total") == (spec.type == "counter"), name
        assert not reserved & set(spec.labels), name
        # A judgement of money stands beside its amounts, with their labels.
        judged = name.endswith("_anomaly_score") or name.startswith("cloudspend_forecast_")
        assert ("currency" in spec.labels) == (
            spec.unit == "money" or judged or name == "cloudspend_source_api_charges_total"
        ), name
        assert name.endswith(("_seconds", "_timestamp_seconds")) == (spec.unit == "seconds"), name
        assert name.endswith("_bytes") == (spec.unit == "bytes"), name
        assert spec.help.endswith(".")
