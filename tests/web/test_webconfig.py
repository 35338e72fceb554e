"""The web configuration file: what promtool takes, we take; what we cannot do is refused with a sentence."""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import subprocess
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import yaml
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from exporter.errors import ConfigError
from exporter.web import auth, tls
from exporter.web.auth import Users
from exporter.web.guard import Guard
from exporter.web.webconfig import LiveFile
from tests.neighbours import require
from tests.web.asking import Answer, ask, asked
from tests.web.certificates import Authority
from tests.web.conftest import Stand

HASH = bcrypt.hashpw(b"open-sesame", bcrypt.gensalt(4)).decode()
OTHER = bcrypt.hashpw(b"other", bcrypt.gensalt(4)).decode()
PAIR = {"cert_file": "server.pem", "key_file": "server.key"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    authority = Authority(tmp_path)
    authority.issue("server")
    authority.issue("other")
    (tmp_path / "empty.pem").write_text("")
    return tmp_path


def written(folder: Path, content: Any) -> Path:
    path = folder / "web.yml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def refusals(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        LiveFile(path)
    return [str(problem) for problem in caught.value.problems]


def promtool_takes(path: Path) -> bool:
    done = subprocess.run(
        [require("promtool"), "check", "web-config", str(path)], capture_output=True, text=True, check=False
    )
    return done.returncode == 0


GOOD: dict[str, Any] = {
    "nothing": "",
    "empty sections": "tls_server_config:\nhttp_server_config:\nbasic_auth_users:\n",
    "users": {"basic_auth_users": {"prometheus": HASH, "7": HASH.replace("$2b$", "$2y$")}},
    "tls": {"tls_server_config": PAIR},
    "empty texts": {"tls_server_config": {**PAIR, "client_ca_file": "", "client_auth_type": ""}},
    "no client certificates": {"tls_server_config": {**PAIR, "client_auth_type": "NoClientCert"}},
    "client certificates": {
        "tls_server_config": {
            **PAIR,
            "client_auth_type": "RequireAndVerifyClientCert",
            "client_ca_file": "ca.pem",
            "min_version": "TLS13",
            "max_version": "TLS13",
        }
    },
    "client certificates if given": {
        "tls_server_config": {**PAIR, "client_auth_type": "VerifyClientCertIfGiven", "client_ca_file": "ca.pem"}
    },
    "suites and a curve": {
        "tls_server_config": {
            **PAIR,
            "cipher_suites": [
                "TLS_AES_128_GCM_SHA256",
                "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
                "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
            ],
            "prefer_server_cipher_suites": False,
            "curve_preferences": ["CurveP256"],
        }
    },
    "headers": {
        "http_server_config": {
            "http2": True,
            "headers": {
                "Strict-Transport-Security": "max-age=31536000",
                "X-Content-Type-Options": "nosniff",
                "X-Frame-Options": "deny",
                "X-XSS-Protection": "1; mode=block",
                "Content-Security-Policy": "default-src 'self'",
            },
        }
    },
}

BAD: dict[str, tuple[Any, str]] = {
    "unknown key": ("basic_auth_user:\n  a: b\n", "line 1: basic_auth_user: unknown key. hint: did you mean"),
    "unknown key below": (
        {"tls_server_config": {**PAIR, "certfile": "x"}},
        "line 3: tls_server_config.certfile: unknown key. hint: did you mean cert_file?",
    ),
    "no key": ({"tls_server_config": {"cert_file": "server.pem"}}, "line 1: tls_server_config: key_file is missing"),
    "no certificate": ({"tls_server_config": {"key_file": "server.key"}}, "tls_server_config: cert_file is missing"),
    "missing file": (
        {"tls_server_config": {**PAIR, "cert_file": "nowhere.pem"}},
        "line 2: tls_server_config.cert_file: cannot read {folder}/nowhere.pem: No such file or directory",
    ),
    "foreign key": (
        {"tls_server_config": {**PAIR, "key_file": "other.key"}},
        "line 2: tls_server_config.cert_file: the certificate and the key do not belong together",
    ),
    "no certificate in it": (
        {"tls_server_config": {**PAIR, "cert_file": "empty.pem"}},
        "line 2: tls_server_config.cert_file: is no PEM certificate that goes with the key",
    ),
    "authorities without a policy": (
        {"tls_server_config": {**PAIR, "client_ca_file": "ca.pem"}},
        "tls_server_config: client_ca_file says nothing without client_auth_type. hint: RequireAndVerifyClientCert",
    ),
    "invented policy": (
        {"tls_server_config": {**PAIR, "client_auth_type": "Please"}},
        "'Please' is not one of NoClientCert, VerifyClientCertIfGiven, RequireAndVerifyClientCert",
    ),
    "invented version": ({"tls_server_config": {**PAIR, "min_version": "TLS14"}}, "'TLS14' is not one of TLS12, TLS13"),
    "invented curve": ({"tls_server_config": {**PAIR, "curve_preferences": ["P1"]}}, "'P1' is not one of CurveP256"),
    "invented suite": ({"tls_server_config": {**PAIR, "cipher_suites": ["ROT13"]}}, "'ROT13' is not a cipher suite"),
    "no hash": (
        {"basic_auth_users": {"prometheus": "open-sesame"}},
        "line 1: basic_auth_users: what stands for 'prometheus' is not a bcrypt hash. hint: htpasswd -nBC 10",
    ),
    "other header": (
        {"http_server_config": {"headers": {"Server": "x"}}},
        "line 2: http_server_config.headers: Server cannot be set. hint: one of Strict-Transport-Security",
    ),
    "wrong value": (
        {"http_server_config": {"headers": {"X-Frame-Options": "allow"}}},
        "X-Frame-Options is deny or sameorigin, not 'allow'",
    ),
    "no mapping": ("- a\n", "must be a mapping, not a list"),
    "no yaml": ("a: [\n", "not YAML"),
}

NOT_HERE: dict[str, tuple[Any, str]] = {
    "unverified certificates": (
        {"tls_server_config": {**PAIR, "client_auth_type": "RequireAnyClientCert"}},
        "RequireAnyClientCert takes certificates that nobody verifies, which Python's TLS cannot. hint: RequireAnd",
    ),
    "old versions": (
        {"tls_server_config": {**PAIR, "min_version": "TLS10"}},
        "TLS10 is broken, and OpenSSL here does not speak it. hint: TLS12 or TLS13",
    ),
    "several curves": (
        {"tls_server_config": {**PAIR, "curve_preferences": ["CurveP256", "X25519"]}},
        "Python's TLS takes one curve. hint: name one, or leave it out to offer them all",
    ),
}


@pytest.mark.parametrize("content", GOOD.values(), ids=GOOD)
def test_a_file_that_promtool_takes_is_taken(folder: Path, content: Any) -> None:
    path = written(folder, content)
    assert promtool_takes(path)
    LiveFile(path).current()


@pytest.mark.parametrize(("content", "sentence"), BAD.values(), ids=BAD)
def test_a_file_that_promtool_refuses_is_refused_with_a_sentence(folder: Path, content: Any, sentence: str) -> None:
    path = written(folder, content)
    assert not promtool_takes(path)
    [said] = refusals(path)
    assert sentence.format(folder=folder) in said


@pytest.mark.parametrize(("content", "sentence"), NOT_HERE.values(), ids=NOT_HERE)
def test_what_pythons_tls_cannot_do_is_refused_rather_than_left_out(folder: Path, content: Any, sentence: str) -> None:
    path = written(folder, content)
    assert promtool_takes(path)
    [said] = refusals(path)
    assert sentence in said


def test_every_mistake_is_said_at_once_and_no_hash_is_shown(folder: Path) -> None:
    content = {"basic_auth_users": {"a": "$2b$10$tooshort"}, "rate_limit": {}, "tls_server_config": {"key_file": "x"}}
    said = refusals(written(folder, content))
    assert len(said) == 3
    assert "tooshort" not in "".join(said)


def test_certificate_key_and_authorities_may_stand_in_the_file_itself(folder: Path) -> None:
    inline = {
        "cert": (folder / "server.pem").read_text(),
        "key": (folder / "server.key").read_text(),
        "client_ca": (folder / "ca.pem").read_text(),
        "client_auth_type": "RequireAndVerifyClientCert",
    }
    found = LiveFile(written(folder, {"tls_server_config": inline})).current().tls
    assert found is not None
    assert found.cert_store_stats()["x509_ca"] == 1


def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_its_password(folder: Path) -> None:
    key = load_pem_private_key((folder / "server.key").read_bytes(), None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    (folder / "server.key").write_bytes(locked)
    [said] = refusals(written(folder, {"tls_server_config": PAIR}))
    assert "the key is encrypted. hint: decrypt it" in said


@pytest.mark.parametrize(
    ("go", "openssl"),
    [
        ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"),
        ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"),
        ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305"),
        ("TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "ECDHE-RSA-AES256-SHA"),
        ("TLS_RSA_WITH_AES_128_GCM_SHA256", "AES128-GCM-SHA256"),
        ("TLS_ECDSA_WITH_AES_128_GCM_SHA256", None),
    ],
)
def test_gos_names_of_cipher_suites_are_turned_into_openssls(go: str, openssl: str | None) -> None:
    assert tls.suite(go) == openssl


def test_the_chosen_suites_are_those_that_are_offered(folder: Path) -> None:
    asked_for = {**PAIR, "cipher_suites": ["TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"]}
    found = LiveFile(written(folder, {"tls_server_config": asked_for})).current().tls
    assert found is not None
    old = [one["name"] for one in found.get_ciphers() if one["protocol"] == "TLSv1.2"]
    assert old == ["ECDHE-RSA-AES256-GCM-SHA384"]


def login(name: str, password: str, scheme: str = "Basic") -> tuple[str, str]:
    return "Authorization", f"{scheme} {base64.b64encode(f'{name}:{password}'.encode()).decode()}"


def guarded(stand: Stand, content: Any) -> Guard:
    return Guard(stand.web(), LiveFile(written(stand.folder, content)))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([], 401),
        ([login("prometheus", "open-sesame")], 200),
        ([login("prometheus", "open-sesame", "basic")], 200),
        ([login("prometheus", "other")], 401),
        ([login("nobody", "open-sesame")], 401),
        ([login("prometheus", "")], 401),
        ([login("prometheus", "open-sesame", "Bearer")], 401),
        ([("Authorization", "Basic !!!")], 401),
        ([("Authorization", "Basic " + base64.b64encode(b"prometheus").decode())], 401),
        ([login("prometheus", "open-sesame"), login("prometheus", "open-sesame")], 401),
        ([login("prometheus", "open-sesame\0")], 401),
    ],
)
def test_only_a_user_with_the_right_password_comes_in(
    stand: Stand, headers: list[tuple[str, str]], status: int
) -> None:
    app = guarded(stand, {"basic_auth_users": {"prometheus": HASH}})
    for path in ("/metrics", "/", "/config", "/-/healthy"):
        answer = ask(app, path, headers=headers)
        assert answer.status == status
        assert ("www-authenticate" in answer.headers) == (status == 401)
        assert ("cloudspend" in answer.text) <= (status == 200)


def test_without_users_everybody_comes_in_and_headers_stand_on_every_answer(stand: Stand) -> None:
    headers = {"X-Frame-Options": "deny", "Strict-Transport-Security": "max-age=5"}
    app = guarded(stand, {"http_server_config": {"headers": headers}})
    for path in ("/metrics", "/nowhere"):
        answer = ask(app, path)
        assert (answer.headers["x-frame-options"], answer.headers["strict-transport-security"]) == ("deny", "max-age=5")
    closed = guarded(stand, {"http_server_config": {"headers": headers}, "basic_auth_users": {"a": HASH}})
    assert ask(closed, "/metrics").headers["x-frame-options"] == "deny"


def test_a_header_of_the_file_takes_the_place_of_our_own(stand: Stand) -> None:
    own = ask(guarded(stand, {}), "/").headers["content-security-policy"]
    policy = "default-src 'self'"
    app = guarded(stand, {"http_server_config": {"headers": {"Content-Security-Policy": policy}}})
    assert ask(app, "/").headers["content-security-policy"] == policy != own


def test_passwords_are_cut_where_bcrypt_and_htpasswd_cut_them() -> None:
    users = Users({"a": bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(4))})
    assert asyncio.run(users.admits(login("a", "x" * 80)[1].encode()))
    assert not asyncio.run(users.admits(login("a", "x" * 71)[1].encode()))


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The hashes that were checked, in order."""
    seen: list[bytes] = []
    real = auth._matches

    def counted(password: bytes, hashed: bytes) -> bool:
        seen.append(hashed)
        return real(password, hashed)

    monkeypatch.setattr(auth, "_matches", counted)
    return seen


def test_a_right_password_is_checked_once_and_a_wrong_one_each_time(checks: list[bytes]) -> None:
    users = Users({"a": HASH.encode()})

    async def several() -> list[bool]:
        right, wrong = login("a", "open-sesame")[1].encode(), login("a", "x")[1].encode()
        at_once = list(await asyncio.gather(*(users.admits(right) for _ in range(5))))
        return [*at_once, await users.admits(right), await users.admits(wrong), await users.admits(wrong)]

    assert asyncio.run(several()) == [True] * 6 + [False] * 2
    assert len(checks) == 3


def test_what_is_remembered_of_a_right_password_is_not_the_password() -> None:
    users = Users({"a": HASH.encode()})
    header = login("a", "open-sesame")[1].encode()
    assert asyncio.run(users.admits(header))
    kept = repr(vars(users)).encode()
    for clear in (b"open-sesame", header.split()[1]):
        assert clear not in kept


def test_an_unknown_name_costs_as_long_as_a_known_one(checks: list[bytes]) -> None:
    users = Users({"a": HASH.encode()})
    assert not asyncio.run(users.admits(login("nobody", "open-sesame")[1].encode()))
    assert checks == [HASH.encode()]


def test_a_change_of_the_file_counts_at_the_next_request(stand: Stand) -> None:
    app = guarded(stand, {"basic_auth_users": {"a": HASH}})

    async def before_and_after() -> list[Answer]:
        header = [login("a", "open-sesame")]
        answers = [await asked(app, "/-/healthy", headers=header)]
        draft = stand.folder / "draft.yml"
        draft.write_text(yaml.safe_dump({"basic_auth_users": {"a": OTHER}}))
        draft.rename(stand.folder / "web.yml")
        answers.append(await asked(app, "/-/healthy", headers=header))
        return [*answers, await asked(app, "/-/healthy", headers=[login("a", "other")])]

    assert [answer.status for answer in asyncio.run(before_and_after())] == [200, 401, 200]


def test_a_file_that_became_unusable_closes_the_door_until_it_is_mended(
    stand: Stand, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    content = {"basic_auth_users": {"a": HASH}}
    app = guarded(stand, content)
    written(stand.folder, "basic_auth_users: [")
    assert [ask(app, "/metrics", headers=[login("a", "open-sesame")]).status for _ in range(3)] == [500] * 3
    os.utime(written(stand.folder, content), ns=(1, 1))
    assert ask(app, "/-/healthy", headers=[login("a", "open-sesame")]).status == 200
    assert [record.getMessage() for record in caplog.records] == [
        "web configuration unusable; requests are refused",
        "web configuration usable again",
    ]


def test_tls_neither_begins_nor_ends_without_a_restart(folder: Path) -> None:
    plain = LiveFile(written(folder, ""))
    written(folder, {"tls_server_config": PAIR})
    with pytest.raises(ConfigError, match=r"is new, and TLS begins with a start\. hint: restart cloudspend"):
        plain.current()
    secure = LiveFile(folder / "web.yml")
    written(folder, "")
    with pytest.raises(ConfigError, match=r"is gone, and TLS ends with a stop\. hint: restart cloudspend"):
        secure.current()
