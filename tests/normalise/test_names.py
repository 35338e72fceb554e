"""Labels: one spelling, never empty."""

from __future__ import annotations

from decimal import Decimal

import pytest

from exporter.costs import CostTable
from exporter.normalise import names
from tests.costs.rows import row


@pytest.mark.parametrize(
    ("words", "label"),
    [
        ("AWS", "aws"),
        ("Amazon Web Services, Inc.", "aws"),
        ("Microsoft", "azure"),
        ("Google Cloud", "gcp"),
        ("Oracle", "oci"),
        ("Huawei Cloud", "huawei"),
        ("Red Hat Inc.", "red-hat-inc"),
        ("Datadog", "datadog"),
        ("", "unknown"),
    ],
)
def test_a_vendor_has_one_slug(words: str, label: str) -> None:
    assert names.provider(words) == label


def test_rows_that_name_no_vendor_bear_the_label_of_their_source() -> None:
    assert names.provider("", "huawei") == "huawei"
    tidied = names.tidy(CostTable.of([row("2024-01-01", "1", provider="")]), "huawei")
    assert tidied.by("provider").rows()[0].key == ("huawei",)


def test_no_label_is_empty() -> None:
    bare = row("2024-01-01", "1", provider="", account="", service=" ", region="")
    [line] = names.tidy(CostTable.of([bare])).by("provider", "account", "service", "region").rows()
    assert line.key == ("unknown", "unknown", "unknown", "global")


def test_an_azure_account_is_the_last_part_of_its_path() -> None:
    account = "/subscriptions/00000000-0000-0000-0000-000000000001"
    tidied = names.tidy(CostTable.of([row("2024-01-01", "1", account=account, provider="Microsoft")]))
    assert tidied.by("account").rows()[0].key == ("00000000-0000-0000-0000-000000000001",)
    assert names.account(account) == "00000000-0000-0000-0000-000000000001"


def test_azure_regions_have_one_spelling_and_others_keep_theirs() -> None:
    rows = [
        row("2024-01-01", "1", provider="Microsoft", region="East US"),
        row("2024-01-01", "2", provider="Microsoft", region="eastus"),
        row("2024-01-01", "4", provider="Oracle", region="US Gov East"),
    ]
    found = {line.key: line.billed for line in names.tidy(CostTable.of(rows)).by("provider", "region").rows()}
    assert found == {("azure", "eastus"): 3, ("oci", "US Gov East"): 4}


def test_an_empty_bill_stays_empty() -> None:
    assert names.tidy(CostTable.nothing()).rows() == []


OPENAI, LISTENING, SPEAKING = "Azure OpenAI", "Azure Speech-to-Text", "Azure Text-to-Speech"


def named(provider: str, *services: str) -> dict[str, Decimal]:
    """Service → sum, of one charge of 1 for each of these names."""
    charges = CostTable.of([row("2024-01-01", "1", provider=provider, service=service) for service in services])
    return {line.key[0]: line.billed for line in names.tidy(charges).by("service").rows()}


@pytest.mark.parametrize(
    ("words", "service"),
    [
        ("Azure OpenAI", OPENAI),
        ("Azure OpenAI Service", OPENAI),
        ("azure openai gpt5", OPENAI),
        ("Azure OpenAI Reasoning", OPENAI),
        ("GPT", OPENAI),
        ("ChatGPT", OPENAI),
        ("ChatGPT-3.5-Turbo", OPENAI),
        ("gpt-4o 1120 Inp glbl Tokens", OPENAI),
        ("gpt 4.1 nano cached Inp glbl Tokens", OPENAI),
        ("GPT 5 Mini Inpt DZone 1M Tokens", OPENAI),
        ("GPT4-32k Prompt", OPENAI),
        ("gpt-oss-120B Inp glbl Tokens", OPENAI),
        ("Az-GPT35-Turbo-16K-1106", OPENAI),
        ("Az-GPT-3.5-turbo", OPENAI),
        ("Az-Davinci-002", OPENAI),
        ("Az-Text-Davinci", OPENAI),
        ("Az-Embeddings-Ada", OPENAI),
        ("Az-Text-Embedding-3-Small", OPENAI),
        ("Az-Image-DALL-E", OPENAI),
        ("Az-Speech-Text to Speech HD", OPENAI),
        ("Davinci", OPENAI),
        ("Text-Davinci-003", OPENAI),
        ("davinci-002 ft hosting", OPENAI),
        ("Ada", OPENAI),
        ("ADA", OPENAI),
        ("text-similarity-ada-001", OPENAI),
        ("Ada Tokens", OPENAI),
        ("Curie Fine-tuning Hosting", OPENAI),
        ("Code-Cushman-001", OPENAI),
        ("Embedding", OPENAI),
        ("Embeddings", OPENAI),
        ("Embeddings-Ada", OPENAI),
        ("text-embedding-ada-002", OPENAI),
        ("text embedding 3 large Tokens", OPENAI),
        ("DALL-E 3", OPENAI),
        ("o3 0416 Inp glbl Tokens", OPENAI),
        ("o4-mini 0416 Outp glbl Tokens", OPENAI),
        ("o1-preview", OPENAI),
        ("Azure Speech-to-Text", LISTENING),
        ("Speech to Text", LISTENING),
        ("S1 Speech To Text", LISTENING),
        ("S1 Speech to Text Batch", LISTENING),
        ("S1 Custom Speech To Text", LISTENING),
        ("S1 Speech to Text Enhanced Feature Audio", LISTENING),
        ("Fast Transcription Speech To Text", LISTENING),
        ("Custom - Fast Transcription Speech To Text", LISTENING),
        ("Commitment Tier Speech to Text Azure 2K Unit", LISTENING),
        ("S1 Custom Speech Model Hosting Unit", LISTENING),
        ("Azure Text-to-Speech", SPEAKING),
        ("text to speech", SPEAKING),
        ("S1 Text To Speech Characters", SPEAKING),
        ("S1 Neural Text To Speech Characters", SPEAKING),
        ("Neural HD Text to Speech Characters", SPEAKING),
        ("Text to Speech - Personal Voice Characters", SPEAKING),
        ("Commitment Tier Neural Text to Speech Azure 80M Unit", SPEAKING),
        ("Neural Voice", SPEAKING),
        ("Azure Custom Neural Voice", SPEAKING),
        ("S1 Custom Neural Voice Model Hosting Unit", SPEAKING),
        ("S1 Custom Neural Realtime Characters", SPEAKING),
        ("CNV Neural HD Synthesis Characters", SPEAKING),
        ("TTS Standard Avatar Realtime Speech", SPEAKING),
    ],
)
def test_what_azure_cuts_into_models_and_meters_is_one_service(words: str, service: str) -> None:
    assert named("Microsoft", words) == {service: 1}


@pytest.mark.parametrize(
    "words",
    [
        "Adapter",
        "Ada Support Bot",
        "Network Adapters",
        "Canada Central Ada Mirror",
        "Data Factory",
        "GPTFS",
        "My GPT",
        "Embedded Analytics",
        "Power BI Embedded",
        "OpenAI",  # somebody's resale of it
        "Azure OpenAIx",
        "Azure AI services",
        "Azure Speech",  # both directions under one name, as some bills have it
        "S1 Speech Translation",
        "Cognitive Services",
        "Foundry Models",
        "Azure Grok Models",
        "4.3 Inp Glbl Tokens",  # Grok
        "Grok 4.1 Inp Glbl Tokens",
        "V4 Pro Inp glbl Tokens",  # DeepSeek
        "Phi-4-Input Tokens",
        "O2 Connect",
        "Office 365",
        "Text Analytics",
        "Neural Network Console",
        "Curie Institute Data",
        "Az-Backup",
    ],
)
def test_what_only_looks_like_it_keeps_its_name(words: str) -> None:
    assert named("Microsoft", words) == {words: 1}


@pytest.mark.parametrize("vendor", ["AWS", "Google Cloud", "Oracle", "Huawei Cloud", "OpenAI"])
def test_no_other_provider_has_its_names_tidied(vendor: str) -> None:
    words = ("Amazon Polly Neural", "Cloud Text-to-Speech API", "Text to Speech", "Speech-to-Text", "GPT-4o", "Ada")
    assert named(vendor, *words) == dict.fromkeys(words, 1)


def test_a_source_of_azure_whose_rows_name_no_vendor_is_tidied_too() -> None:
    charges = CostTable.of([row("2024-01-01", "1", provider="", service="gpt-4o Inp glbl Tokens")])
    assert names.tidy(charges, "azure").by("service").rows()[0].key == (OPENAI,)
    assert names.tidy(charges, "aws").by("service").rows()[0].key == ("gpt-4o Inp glbl Tokens",)


def test_services_that_become_one_are_summed_to_the_last_digit() -> None:
    rows = [
        row("2024-01-01", "0.000000000000000000000001", provider="Microsoft", service="gpt-4o Inp glbl Tokens"),
        row("2024-01-01", "99999999999998", provider="Microsoft", service="gpt-4o Outp glbl Tokens"),
        row("2024-01-01", "-0.5", provider="Microsoft", service="Az-Embeddings-Ada"),
    ]
    [line] = names.tidy(CostTable.of(rows)).by("service").rows()
    assert (line.key, line.billed, line.rows) == (
        (OPENAI,), Decimal("99999999999997.500000000000000000000001"), 3
    )  # fmt: skip


def test_no_name_is_tidied_twice_into_another() -> None:
    assert named("Microsoft", OPENAI, LISTENING, SPEAKING) == dict.fromkeys((OPENAI, LISTENING, SPEAKING), 1)
