# SPDX-License-Identifier: MIT
from __future__ import annotations

import base64
import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import bcrypt
import pytest

from lazyobs.errors import UsageError
from lazyobs.exporter import webconfig
from tests.exporter.host import Host
from tests.harness import LAZYOBS, ROOT, need_programs

Serving = Callable[..., tuple[str, int]]
_GET = b"GET /metrics HTTP/1.1\r\n%s\r\n"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ca.pem, and server.pem and client.pem signed by it, with keys."""
    need_programs("openssl")
    directory = tmp_path_factory.mktemp("certificates")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca", "-days", "2")
    for name in ("server", "client"):
        openssl("req", *curve, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        (directory / "extensions").write_text("subjectAltName=IP:127.0.0.1\n")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                "-out", f"{name}.pem", "-days", "2", "-extfile", "extensions")  # fmt: skip
    return directory


def _ask(sock: socket.socket, headers: bytes = b"") -> bytes:
    sock.sendall(_GET % headers)
    parts = []
    while part := sock.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def _basic(name: str, password: str) -> bytes:
    return b"Authorization: Basic " + base64.b64encode(f"{name}:{password}".encode()) + b"\r\n"


def test_passwords(serving: Serving, tmp_path: Path) -> None:
    config = tmp_path / "web.yml"
    hashed = bcrypt.hashpw(b"correct horse", bcrypt.gensalt(4)).decode()
    config.write_text(f"basic_auth_users:\n  prometheus: {hashed}\n")
    address = serving(Host(), authorise=webconfig.load(config).users)

    def status(headers: bytes) -> bytes:
        with socket.create_connection(address, timeout=30) as sock:
            return _ask(sock, headers).split(b" ")[1]

    assert status(b"") == b"401"
    assert status(_basic("prometheus", "wrong")) == b"401"
    assert status(_basic("somebody", "correct horse")) == b"401"
    assert status(b"Authorization: Basic !!!\r\n") == b"401"
    assert status(b"Authorization: Bearer abc\r\n") == b"401"
    assert status(_basic("prometheus", "correct horse")) == b"200"
    assert status(_basic("prometheus", "correct horse")) == b"200"
    assert status(_basic("prometheus", "x" * 5000)) == b"401"
    assert status(_basic("prometheus", "a\0b")) == b"401"


def test_health_needs_no_password(serving: Serving) -> None:
    address = serving(Host(), authorise=lambda header: False)
    with socket.create_connection(address, timeout=30) as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
        assert sock.recv(1 << 16).startswith(b"HTTP/1.1 200 ")


def test_tls(serving: Serving, certificates: Path) -> None:
    config = certificates / "web.yml"
    config.write_text("tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n")
    address = serving(Host(), tls=webconfig.load(config).tls, seconds=3.0)
    silent = [socket.create_connection(address) for _ in range(23)]  # never begin a handshake
    trust = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
    for _ in range(3):
        with trust.wrap_socket(socket.create_connection(address, timeout=30), server_hostname="127.0.0.1") as sock:
            assert _ask(sock).startswith(b"HTTP/1.1 200 ")
    with socket.create_connection(address, timeout=30) as plain:
        plain.sendall(_GET % b"")
        try:
            assert b"lazyobs_" not in plain.recv(1 << 16)
        except ConnectionError:
            pass
    for connection in silent:
        connection.close()


def test_client_certificates(serving: Serving, certificates: Path) -> None:
    config = certificates / "mutual.yml"
    config.write_text(
        "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n  client_ca_file: ca.pem\n"
        "  client_auth_type: RequireAndVerifyClientCert\n  min_version: TLS13\n"
    )
    address = serving(Host(), tls=webconfig.load(config).tls)
    trust = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
    with pytest.raises((ssl.SSLError, ConnectionError)):
        with trust.wrap_socket(socket.create_connection(address, timeout=30), server_hostname="127.0.0.1") as sock:
            _ask(sock)
    trust.load_cert_chain(certificates / "client.pem", certificates / "client.key")
    with trust.wrap_socket(socket.create_connection(address, timeout=30), server_hostname="127.0.0.1") as sock:
        assert _ask(sock).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("http_server_config: {http2: true}", "http_server_config is not supported"),
        ("tls_server_config: {cert_file: a, key_file: b, cipher_suites: [x]}", "cipher_suites is not supported"),
        ("tls_server_config: {key_file: b}", "cert_file is None, no name of a file"),
        ("tls_server_config: {cert_file: 3, key_file: b}", "cert_file is 3, no name of a file"),
        (
            "tls_server_config: {cert_file: nowhere.pem, key_file: b}",
            r"cert_file \S+/nowhere.pem cannot be read \(No such file or directory\)",
        ),
        ("tls_server_config: {cert_file: web.yml, key_file: b}", r"key_file \S+/b cannot be read \(No such file"),
        ("tls_server_config: {cert_file: /dev/zero, key_file: b}", r"cert_file /dev/zero cannot be read \(not a reg"),
        ("tls_server_config: {cert_file: web.yml, key_file: web.yml}", "cert_file .* with key_file .*PEM"),
        ("basic_auth_users: {a: plain}", "no bcrypt hash"),
        ("- a\n- b", "no mapping"),
        ("a: [", "flow"),
    ],
)
def test_what_is_not_known_is_refused(tmp_path: Path, text: str, why: str) -> None:
    config = tmp_path / "web.yml"
    config.write_text(text)
    with pytest.raises(UsageError, match=why):
        webconfig.load(config)


def test_min_version_and_client_ca_are_checked(certificates: Path) -> None:
    config = certificates / "wrong.yml"
    base = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n"
    config.write_text(base + "  min_version: TLS10\n")
    with pytest.raises(UsageError, match="TLS12, TLS13"):
        webconfig.load(config)
    config.write_text(base + "  client_ca_file: ca.pem\n")
    with pytest.raises(UsageError, match="client_auth_type"):
        webconfig.load(config)


def test_the_file_that_is_wrong_is_named(certificates: Path) -> None:
    config = certificates / "named.yml"
    config.write_text("tls_server_config:\n  cert_file: server.pem\n  key_file: client.key\n")
    with pytest.raises(UsageError, match=r"server\.pem with key_file \S+client\.key: .*mismatch"):
        webconfig.load(config)
    mutual = "  cert_file: server.pem\n  key_file: server.key\n  client_auth_type: RequireAndVerifyClientCert\n"
    config.write_text("tls_server_config:\n" + mutual)
    with pytest.raises(UsageError, match="client_ca_file is None"):
        webconfig.load(config)
    config.write_text("tls_server_config:\n" + mutual + "  client_ca_file: named.yml\n")
    with pytest.raises(UsageError, match=r"client_ca_file \S+named\.yml: "):
        webconfig.load(config)


def test_an_encrypted_key_is_told_and_nobody_is_asked(certificates: Path) -> None:
    encrypt = ["openssl", "pkcs8", "-topk8", "-in", "server.key", "-out", "locked.key", "-passout", "pass:secret"]
    subprocess.run(encrypt, cwd=certificates, check=True, capture_output=True)
    config = certificates / "locked.yml"
    config.write_text("tls_server_config:\n  cert_file: server.pem\n  key_file: locked.key\n")
    with pytest.raises(UsageError, match="key_file is encrypted"):
        webconfig.load(config)


@pytest.mark.parametrize("text", ["", "tls_server_config:\n", "{}\n"])
def test_a_file_that_asks_for_nothing_is_accepted_and_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "web.yml").write_text(text)
    exporter = subprocess.Popen(
        [*LAZYOBS, "export", "--tier", "procfs", "--listen", "127.0.0.1:0",
         "--web-config", tmp_path / "web.yml"],
        stderr=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    assert exporter.stderr is not None
    said = []
    for line in exporter.stderr:
        said.append(line)
        if "serving" in line:
            break
    exporter.terminate()
    exporter.communicate(timeout=30)
    assert said[0].endswith("web.yml: asks for neither TLS nor passwords; plain HTTP for everybody\n")
    assert said[-1].startswith("lazyobs: serving http://")
