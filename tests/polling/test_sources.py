"""Sources as they run: defaults filled in, what a provider cannot do refused."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from exporter.config.load import load
from exporter.errors import ConfigError
from exporter.polling.sources import Registry, Source, chosen, resolve


def resolved(text: str, folder: Path) -> tuple[Source, ...]:
    return resolve(load(text, Registry(), folder=folder, environment={}))


def test_what_the_configuration_leaves_out_is_the_providers(tmp_path: Path) -> None:
    [source] = resolved("sources: [{name: a, provider: demo}]", tmp_path)
    assert (source.poll_every, source.settles_after) == (timedelta(hours=1), timedelta(hours=48))
    [source] = resolved("sources: [{name: a, provider: demo, poll_every: 2h, settles_after: 0s}]", tmp_path)
    assert (source.poll_every, source.settles_after) == (timedelta(hours=2), timedelta(0))


def test_hours_of_a_provider_that_has_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"sources\[0\].hours: demo bills by the day and has no hours. hint: leave"):
        resolved("sources: [{name: a, provider: demo, hours: true}]", tmp_path)


def test_an_age_shorter_than_the_providers_own_interval_is_refused(tmp_path: Path) -> None:
    sentence = r"sources\[0\].max_age: 1h is not longer than 6h, so data would disappear between polls of demo_focus"
    with pytest.raises(ConfigError, match=sentence):
        resolved("sources: [{name: a, provider: demo_focus, max_age: 1h}]", tmp_path)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            "provider: aws_cost_explorer, tags: [team, env]",
            "sources[0].tags: Cost Explorer cannot keep team and env apart: it groups by two dimensions at most",
        ),
        (
            "provider: aws_cost_explorer, tags: [team], dimensions: [usage_type]",
            "sources[0].tags: Cost Explorer cannot keep team and usage_type apart",
        ),
        (
            "provider: azure, scopes: [00000000-0000-0000-0000-000000000001], tags: [team, env]",
            "sources[0].tags: Azure groups by two dimensions at most, service and one of",
        ),
    ],
)
def test_what_a_provider_can_never_answer_is_refused_before_it_is_asked(
    options: str, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as refused:
        resolved(f"sources: [{{name: a, {options}}}]", tmp_path)
    [problem] = refused.value.problems
    assert str(problem).startswith(sentence)


def test_one_tag_is_no_mistake(tmp_path: Path) -> None:
    assert resolved("sources: [{name: a, provider: aws_cost_explorer, tags: [team]}]", tmp_path)


def test_sources_are_chosen_by_name_provider_or_label(tmp_path: Path) -> None:
    sources = resolved("sources: [{name: a, provider: demo}, {name: b, provider: demo_focus}]", tmp_path)
    assert chosen(sources, None) == sources
    assert [source.name for source in chosen(sources, ["a"])] == ["a"]
    assert [source.name for source in chosen(sources, ["demo_focus"])] == ["b"]
    assert chosen(sources, ["c"]) == ()
