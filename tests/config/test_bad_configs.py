"""One bad file per mistake, and the exact sentence that it is answered with."""

from pathlib import Path

import pytest

from exporter.config import load
from exporter.errors import ConfigError
from tests.config.conftest import HERE
from tests.config.stubs import STUBS

SENTENCES = {
    "bad-alerts-source": "line 5: alerts.sources.aws-pord: 'aws-pord' is not a source. hint: did you mean aws-prod?",
    "bad-alias": (
        "line 5: not YAML at column 12: the anchor of an alias (*…) is not defined above"
        ". hint: put a text that begins with this character in quotes"
    ),
    "bad-api-budget": ("line 1: api_budget.monthly_usd: '-5' is not an amount in US dollars such as 5 or 0.25"),
    "bad-api-budget-currency": "line 1: api_budget.monthly_eur: unknown key. hint: did you mean monthly_usd?",
    "bad-api-budget-list": "line 5: sources[0].api_budget: must be a mapping, not a list",
    "bad-api-budget-number": "line 1: api_budget: must be a mapping, not a number",
    "bad-api-budget-word": (
        "line 6: sources[0].api_budget.monthly_usd: '2 dollars' is not an amount in US dollars such as 5 or 0.25"
    ),
    "bad-at-sign": (
        "line 5: not YAML at column 12: YAML keeps this character for itself"
        ". hint: put a text that begins with this character in quotes"
    ),
    "bad-basis": "line 1: cost.basis: 'biled' is not one of billed, effective, list. hint: did you mean billed?",
    "bad-broken-provider": (
        "line 3: sources[0].provider: the plug-in behind 'broken' does not offer a ProviderSpec so named"
    ),
    "bad-budget-account": "line 2: budgets[0].account: must be a text, not a number. hint: put it in quotes",
    "bad-budget-address": (
        "line 2: budgets[0].channels[0]: is no channel"
        ". hint: a name of notify.channels, email:…, slack:…, webhook:… or log"
    ),
    "bad-budget-amount": (
        "line 2: budgets[0].amount: '9000 EUR' is not an amount such as 9000 or 12.50"
        ". hint: the currency stands in `currency`"
    ),
    "bad-budget-bounds": "line 4: budgets[0].adjust.most: must be at least 8000, which is `least`",
    "bad-budget-category": "line 2: budgets[0].charge_category: 'taxes' is not a category. hint: did you mean tax?",
    "bad-budget-channel": "line 2: budgets[0].channels[1]: 'opz' is not a channel. hint: did you mean ops?",
    "bad-budget-daily-start": "line 2: budgets[0].starts: a daily budget begins each UTC midnight. hint: leave it out",
    "bad-budget-empty-scope": "line 2: budgets[0].provider: must have at least one entry",
    "bad-budget-folder-amount": (
        "line 1: budgets: {folder}/budgets/amount/a.yml: line 4: budgets[1].amount"
        ": 'ten' is not an amount such as 9000 or 12.50"
    ),
    "bad-budget-folder-key": (
        "line 1: budgets: {folder}/budgets/key/a.yml: line 3: owner: unknown key"
        ". hint: a file with `budgets` has no other"
    ),
    "bad-budget-folder-latin": "line 1: budgets: {folder}/budgets/latin/a.yml: is not UTF-8 text",
    "bad-budget-folder-list": (
        "line 1: budgets: {folder}/budgets/list/a.yml: line 1: must be one budget, or `budgets` with a list of them"
    ),
    "bad-budget-folder-repeated": (
        "line 1: budgets: {folder}/budgets/repeated/b.yml: line 3: budgets[1].name"
        ": 'web' is the name of {folder}/budgets/repeated/a.yml on line 2 too"
    ),
    "bad-budget-folder-yaml": (
        "line 1: budgets: {folder}/budgets/yaml/a.yml: line 3: not YAML at column 1: no value begins like this"
        ". hint: put a text that begins with this character in quotes"
    ),
    "bad-budget-key": "line 2: budgets[0].treshold: unknown key. hint: did you mean thresholds?",
    "bad-budget-mail": (
        "line 2: budgets[0].channels[0]: no server to send by. hint: notify.channels needs a channel of type email"
    ),
    "bad-budget-missing-amount": "line 2: budgets[0].amount: is missing",
    "bad-budget-month-day": "line 2: budgets[0].starts: '32' is not a day of the month, 1 to 31",
    "bad-budget-no-folder": (
        "line 1: budgets: cannot read {folder}/nowhere: No such file or directory"
        ". hint: make the folder, or list the budgets here"
    ),
    "bad-budget-no-share": "line 2: budgets[0].thresholds[0]: must be more than 0%",
    "bad-budget-nothing": "line 2: budgets[0].amount: must be more than 0",
    "bad-budget-number": "line 1: budgets: must be a list, not a number. hint: begin each entry with a dash",
    "bad-budget-period": (
        "line 2: budgets[0].period: 'montly' is not one of daily, weekly, monthly, quarterly, yearly"
        ". hint: did you mean monthly?"
    ),
    "bad-budget-repeated": "line 3: budgets[1].name: 'web' is the name of budgets[0] on line 2 too",
    "bad-budget-severity": (
        "line 2: budgets[0].thresholds[0].severity: 'critcal' is not one of info, warning, critical"
        ". hint: did you mean critical?"
    ),
    "bad-budget-share": "line 2: budgets[0].thresholds[0]: 0.8 may mean 0.8% or 80%. hint: write the % sign",
    "bad-budget-share-twice": "line 4: budgets[0].thresholds[1]: is given above already",
    "bad-budget-share-word": "line 2: budgets[0].thresholds[0]: 'most' is not a share in percent such as 80%",
    "bad-budget-tag": "line 4: budgets[0].tags.shop: no source keeps this tag. hint: add it to `tags` of a source",
    "bad-budget-weekday": "line 2: budgets[0].starts: '3' is not a weekday such as monday",
    "bad-budget-year-day": "line 2: budgets[0].starts: '02-30' is not a month and a day such as 04-06",
    "bad-colon": (
        "line 4: not YAML at column 16: a second ': ' in one line, or a wrong indentation"
        ". hint: put a text that holds ': ' in quotes"
    ),
    "bad-currency-code": (
        "line 1: currency.reporting: 'usd' is not a currency such as USD. hint: three capital letters, as in ISO 4217"
    ),
    "bad-currency-key": "line 1: currency.report: unknown key. hint: did you mean reporting?",
    "bad-currency-text": "line 1: currency: must be a mapping, not a text",
    "bad-duplicate-key": "line 5: sources[0].path: is given twice, first on line 4. hint: keep one of the two",
    "bad-duration-list": "line 2: worker.timeout: must be a duration such as 30m, 8h or 2d",
    "bad-duration-without-unit": (
        "line 5: sources[0].max_age: 36 is not a duration such as 30m, 8h or 2d. hint: a number needs its unit"
    ),
    "bad-duration": "line 5: sources[0].settles_after: '8 hours' is not a duration such as 30m, 8h or 2d",
    "bad-empty-file": "is empty. hint: start from config.example.yml",
    "bad-empty-part": "line 1: store: is empty. hint: give it a value, or take the key out",
    "bad-empty-sources": "line 1: sources: must have at least one entry",
    "bad-empty-tag": "line 7: sources[0].tags[1]: must not be empty",
    "bad-expired-secret": "line 5: sources[0].token: the token '<secret>' is too old. hint: make another one",
    "bad-hasty-poll": "line 5: sources[0].poll_every: must be at least 1m",
    "bad-home-path": (
        "line 2: sources[0].path: '~/bills' is no path: only a shell reads ~. hint: write ${HOME} instead of ~"
    ),
    "bad-indentation": (
        "line 4: not YAML at column 4: this line does not fit the ones above it"
        ". hint: indent the keys of one mapping alike"
    ),
    "bad-key": "line 5: sources[0]: a key must be a text",
    "bad-memory": "line 1: store.memory_limit: '1 gigabyte' is not a size such as 512MB or 1GB",
    "bad-merge": "line 2: sources[0]: << takes a mapping, or a list of mappings",
    "bad-missing-name": "line 2: sources[0].name: is missing",
    "bad-missing-option": "line 2: sources[0].path: is missing",
    "bad-missing-provider": "line 2: sources[0].provider: is missing",
    "bad-missing-secret": "line 2: sources[0].token: is missing. hint: give token or token_file",
    "bad-misspelt-provider-key": "line 3: sources[0].provder: unknown key. hint: did you mean provider?",
    "bad-name": (
        "line 2: sources[0].name: 'AWS prod' is not a name such as aws-prod"
        ". hint: lower-case letters, digits, '_', '.' and '-', a letter or digit first"
    ),
    "bad-nested-secret": "line 6: sources[0].login.password: is missing. hint: give password or password_file",
    "bad-no-sources": "sources: is missing",
    "bad-no-threads": "line 1: store.threads: must be at least 1, not 0",
    "bad-notify-cool-down": (
        "line 1: notify.cool_down: 1 is not a duration such as 30m, 8h or 2d. hint: a number needs its unit"
    ),
    "bad-notify-direct": "line 1: notify.direct: 'maybe' is neither true nor false",
    "bad-notify-external-url": (
        "line 1: notify.external_url: must be a URL that begins with https:// or http://, without a user or a password"
    ),
    "bad-notify-give-up": "line 1: notify.give_up_after: must be longer than 0s",
    "bad-notify-header-value": ("line 3: notify.channels[0].headers: X-Team has a character that headers cannot hold"),
    "bad-notify-header": "line 3: notify.channels[0].headers: 'X Team' is no name of a header",
    "bad-notify-icinga-url": (
        "line 3: notify.channels[0].url: must be a URL that begins with https:// or http://, without a user"
        " or a password"
    ),
    "bad-notify-key": "line 2: notify.chanels: unknown key. hint: did you mean channels?",
    "bad-notify-kind": (
        "line 3: notify.channels[0].kinds[0]: 'budgets' is not one of anomaly, budget, first_spend,"
        " hourly_jump, alert"
        ". hint: did you mean budget?"
    ),
    "bad-notify-name": (
        "line 3: notify.channels[0].name: 'Ops Team' is not a name such as aws-prod"
        ". hint: lower-case letters, digits, '_', '.' and '-', a letter or digit first"
    ),
    "bad-notify-no-name": "line 3: notify.channels[0].name: is missing",
    "bad-notify-no-password": (
        "line 3: notify.channels[0]: username and password go together. hint: give both or neither"
    ),
    "bad-notify-no-recipient": "line 3: notify.channels[0].recipients: must have at least one entry",
    "bad-notify-no-type": "line 3: notify.channels[0]: type is missing",
    "bad-notify-no-url": "line 3: notify.channels[0].url: is missing. hint: give url or url_file",
    "bad-notify-placeholder": (
        "line 3: notify.channels[0].body: {tittle} is nothing that a message has"
        ". hint: one of key, fingerprint, status, kind, severity, title, sentence, text, facts, lines,"
        " links, when, source"
    ),
    "bad-notify-plain-password": (
        "line 3: notify.channels[0]: a password over security: plain can be read on the way. hint: starttls or tls"
    ),
    "bad-notify-port": "line 3: notify.channels[0].port: must be at most 65535, not 70000",
    "bad-notify-quiet-critical": "line 1: notify.quiet_hours.critical: 'later' is not one of send, hold",
    "bad-notify-quiet-same": "line 1: notify.quiet_hours: start and end are the same",
    "bad-notify-quiet-zone": ("line 1: notify.quiet_hours.timezone: 'Berlin' is not a time zone such as Europe/Berlin"),
    "bad-notify-quiet": ("line 1: notify.quiet_hours.start: must be a text, not a number. hint: put it in quotes"),
    "bad-notify-recipient-text": (
        "line 3: notify.channels[0].recipients: must be a list, not a text. hint: begin each entry with a dash"
    ),
    "bad-notify-recipient": (
        "line 3: notify.channels[0].recipients[0]: 'finops' is not an e-mail address such as costs@example.com"
    ),
    "bad-notify-repeated": "line 4: notify.channels[1].name: is the name of another channel too",
    "bad-notify-secret-twice": (
        "line 3: notify.channels[0].secret_file: secret is given too. hint: keep one of the two"
    ),
    "bad-notify-security": "line 3: notify.channels[0].security: 'ssl' is not one of starttls, tls, plain",
    "bad-notify-severity": (
        "line 3: notify.channels[0].min_severity: 'hi' is not one of info, low, medium, high, critical"
        ". hint: did you mean high?"
    ),
    "bad-notify-source": "line 3: notify.channels[0].sources[0]: 'b' is not a source. hint: one of a",
    "bad-notify-strange-option": (
        "line 3: notify.channels[0].secret: unknown key"
        ". hint: the keys here are name, min_severity, kinds, sources, resolved, quiet_hours, timeout, type,"
        " url, ca_file, url_file"
    ),
    "bad-notify-timeout": "line 3: notify.channels[0].timeout: must be longer than 0s",
    "bad-notify-type": (
        "line 3: notify.channels[0]: type 'slak' is not one of feishu, slack, email, webhook, icinga, log,"
        " apprise"
        ". hint: did you mean slack?"
    ),
    "bad-notify-url": "line 3: notify.channels[0].url: must be a URL that begins with https:// or http://",
    "bad-number-for-text": "line 7: sources[0].accounts[0]: must be a text, not a number. hint: put it in quotes",
    "bad-open-list": "line 5: not YAML at column 11: a list that begins with [ does not end. hint: close it with ]",
    "bad-open-quote": "line 2: not YAML at column 44: a quoted text does not end. hint: close it with the same quote",
    "bad-part-text": "line 1: store: must be a mapping, not a text",
    "bad-poll-outlives-data": (
        "line 5: sources[0].poll_every: must be shorter than max_age (6h), or data disappears between polls"
        ". hint: poll more often, or raise max_age"
    ),
    "bad-poll-outlives-default": (
        "line 5: sources[0].poll_every: must be shorter than max_age (36h), or data disappears between polls"
        ". hint: poll more often, or raise max_age"
    ),
    "bad-rate-code": (
        "line 1: currency.rates.Euro: 'Euro' is not a currency such as USD. hint: three capital letters, as in ISO 4217"
    ),
    "bad-rate-list": "line 1: currency.rates: must be a mapping, not a list",
    "bad-rate-negative": "line 1: currency.rates.EUR: an exchange rate must be more than 0, not '-1.0834'",
    "bad-rate-of-reporting": (
        "line 1: currency.rates.EUR: the rate of EUR, the reporting currency, is 1. hint: leave it out"
    ),
    "bad-rate-slip": "line 1: currency.rates.EUR: '10834000000000000' is not an exchange rate between 10^-12 and 10^12",
    "bad-rate-true": "line 1: currency.rates.EUR: must be an exchange rate such as 1.0834",
    "bad-rate-word": "line 1: currency.rates.EUR: '1,0834' is not an exchange rate such as 1.0834",
    "bad-rate-zero": "line 1: currency.rates.EUR: an exchange rate must be more than 0, not '0.0'",
    "bad-rates-file-code": (
        "line 3: currency.rates_file: {folder}/rates/code.csv: row 2: 'eur' is not a currency such as USD"
        ". hint: three capital letters, as in ISO 4217"
    ),
    "bad-rates-file-day": (
        "line 3: currency.rates_file: {folder}/rates/day.csv: row 2: '02.09.2024' is not a date such as 2024-09-01"
    ),
    "bad-rates-file-folder": "line 3: currency.rates_file: {folder}/rates: cannot be read: Is a directory",
    "bad-rates-file-header": (
        "line 3: currency.rates_file: {folder}/rates/header.csv: row 1: must be date,currency,rate"
    ),
    "bad-rates-file-latin": "line 3: currency.rates_file: {folder}/rates/latin.csv: is not UTF-8 text",
    "bad-rates-file-many": (
        "line 3: currency.rates_file: {folder}/rates/many.csv: row 2: an exchange rate must be more than 0, not '0'"
        "; row 3: an exchange rate must be more than 0, not '0'"
        "; row 4: an exchange rate must be more than 0, not '0'"
        "; row 5: an exchange rate must be more than 0, not '0'"
        "; row 6: an exchange rate must be more than 0, not '0'; and 4 more rows"
    ),
    "bad-rates-file-missing": (
        "line 3: currency.rates_file: {folder}/rates/nowhere.csv: cannot be read: No such file or directory"
    ),
    "bad-rates-file-negative": (
        "line 3: currency.rates_file: {folder}/rates/negative.csv: row 2"
        ": an exchange rate must be more than 0, not '-1.1062'"
    ),
    "bad-rates-file-own": (
        "line 3: currency.rates_file: {folder}/rates/own.csv: row 2: the rate of USD, the reporting currency, is 1"
        ". hint: leave it out"
    ),
    "bad-rates-file-quote": "line 3: currency.rates_file: {folder}/rates/quote.csv: is not CSV: unexpected end of data",
    "bad-rates-file-ragged": (
        "line 3: currency.rates_file: {folder}/rates/ragged.csv: row 2: must have three values, not 2"
    ),
    "bad-rates-file-twice": (
        "line 3: currency.rates_file: {folder}/rates/twice.csv: row 4: EUR has a rate for 2024-09-02 on row 2 already"
    ),
    "bad-rates-file-word": (
        "line 3: currency.rates_file: {folder}/rates/word.csv: row 3: 'n/a' is not an exchange rate such as 1.0834"
    ),
    "bad-rates-file-zero": (
        "line 3: currency.rates_file: {folder}/rates/zero.csv: row 3: an exchange rate must be more than 0, not '0'"
    ),
    "bad-rates-from-reporting": (
        "line 1: currency.rates_from: bills tell their amounts in USD alone, and reporting is EUR. hint: leave it out"
    ),
    "bad-reference": (
        "line 5: sources[0].token: ${ begins no reference such as ${NAME} or ${NAME:-default}"
        ". hint: write $${ for the two characters"
    ),
    "bad-remote-write-both": "line 1: remote_write: bearer_token goes without username and password",
    "bad-remote-write-missing": "line 1: remote_write.url: is missing",
    "bad-remote-write-password": "line 1: remote_write: username and password go together",
    "bad-remote-write-timeout": "line 1: remote_write.timeout: must be longer than 0s",
    "bad-remote-write-url": "line 1: remote_write.url: must be a URL such as http://prometheus:9090/api/v1/write",
    "bad-remote-write-user": (
        "line 1: remote_write.url: must not hold a user or a password"
        ". hint: username and password are keys of their own"
    ),
    "bad-repeated-name": "line 4: sources[2].name: 'history' is the name of sources[0] on line 2 too",
    "bad-repeated-tag": "line 5: sources[0].tags[2]: is given above already",
    "bad-secret-file-folder": "line 5: sources[0].token_file: cannot read {folder}/secrets: Is a directory",
    "bad-secret-file-list": "line 5: sources[0].token_file: must be the path of a file",
    "bad-secret-file-missing": (
        "line 5: sources[0].token_file: cannot read {folder}/secrets/nowhere: No such file or directory"
    ),
    "bad-secret-number": "line 5: sources[0].token: must be a text, not a number. hint: put it in quotes",
    "bad-secret-twice": "line 6: sources[0].token_file: token is given too. hint: keep one of the two",
    "bad-self": "line 5: sources[0].tags[1]: contains itself",
    "bad-source-text": "line 2: sources[0]: must be a mapping, not a text",
    "bad-sources-mapping": "line 1: sources: must be a list, not a mapping. hint: begin each entry with a dash",
    "bad-strange-key": "line 2: store.colour: unknown key. hint: the keys here are path, memory_limit, threads",
    "bad-strange-option": (
        "line 5: sources[0].token: unknown key"
        ". hint: the keys here are "
        "name, display_name, provider, poll_every, settles_after, max_age, cache, tags, hours, series_limit, "
        "api_budget, webhook_url, webhook_secret, webhook_url_file, webhook_secret_file, path"
    ),
    "bad-strange-provider": (
        "line 3: sources[0].provider: 'mainframe' is not a provider. hint: one of acme, broken, focus"
    ),
    "bad-tab": "line 3: not YAML at column 1: a tab stands where YAML takes spaces only. hint: indent with spaces",
    "bad-tag": (
        "line 5: sources[0].token: a tag (!…) has no meaning here"
        ". hint: put a text that begins with this character in quotes"
    ),
    "bad-tags-text": "line 5: sources[0].tags: must be a list, not a text. hint: begin each entry with a dash",
    "bad-threads": "line 1: store.threads: 'many' is not a whole number",
    "bad-top-key": "line 1: source: unknown key. hint: did you mean sources?",
    "bad-top-list": "must be a mapping with keys such as store and sources. hint: start from config.example.yml",
    "bad-two-documents": (
        "line 3: not YAML at column 1: a second document begins, and a configuration is one. hint: take the --- out"
    ),
    "bad-unknown-key": "line 5: sources[0].pol_every: unknown key. hint: did you mean poll_every?",
    "bad-unknown-provider": "line 3: sources[0].provider: 'fokus' is not a provider. hint: did you mean focus?",
    "bad-unset-variable": (
        "line 4: sources[0].url: the environment variable ACME_URL is not set"
        ". hint: set it, or write ${ACME_URL:-default}"
    ),
    "bad-wrong-variable": "line 5: sources[0].settles_after: '${HIDDEN}' is not a duration such as 30m, 8h or 2d",
    "bad-zero-timeout": "line 2: worker.timeout: must be longer than 0s",
}
"""File → the whole message behind its name; `{folder}` stands for this folder."""

HIDDEN = ("swordfish", "47114711", "under the mat", "not-shown")
"""Secrets and values from the environment that are in the files."""


def refusal(file: Path) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(
            file.read_text(encoding="utf-8"),
            STUBS,
            file=file.name,
            folder=file.parent,
            environment={"HIDDEN": "under the mat"},
        )
    return caught.value


@pytest.mark.parametrize("name", SENTENCES)
def test_a_mistake_is_answered_with_its_sentence_and_no_other(name: str) -> None:
    file = HERE / f"{name}.yml"
    sentence = SENTENCES[name].replace("{folder}", str(HERE))
    assert str(refusal(file)) == f"{file.name}: {sentence}"


def test_every_bad_file_has_its_sentence() -> None:
    assert {file.stem for file in HERE.glob("bad-*.yml")} == set(SENTENCES)


@pytest.mark.parametrize("name", SENTENCES)
def test_a_refusal_carries_no_secret_and_no_error_that_repeats_one(name: str) -> None:
    error = refusal(HERE / f"{name}.yml")
    assert not [word for word in HIDDEN if word in str(error)]
    # Python prints the context of an error with its traceback, and pydantic's and PyYAML's repeat their input.
    assert error.__context__ is None
    assert error.__cause__ is None
