# SPDX-License-Identifier: MIT
"""TLS and passwords, from a web configuration file in the format of Prometheus' own exporters.

Supported are ``tls_server_config`` (cert_file, key_file, client_auth_type, client_ca_file, min_version) and
``basic_auth_users`` ({name: bcrypt hash}). Any other key is an error: a security setting that is ignored is a hole.
The files are read once, before root is given up.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import ssl
import threading
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from lazyobs.errors import NotSupported, UsageError, way_to_install
from lazyobs.unix.small_file import Unusable, read_bytes, read_text

_TLS_KEYS = {"cert_file", "key_file", "client_auth_type", "client_ca_file", "min_version"}
_MIN_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_CLIENT_AUTH = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
# Checked where the name is unknown, so that the answer takes as long as for a known one.
_DUMMY_HASH = b"$2b$10$abcdefghijklmnopqrstuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu"


@dataclass
class WebConfig:
    """``tls`` or ``users`` is None where the file does not ask for it."""

    tls: ssl.SSLContext | None
    users: Users | None

    @property
    def asks_for_nothing(self) -> bool:
        return self.tls is None and self.users is None


class Users:
    """Checks ``Authorization: Basic``. One bcrypt at a time: guessing must not occupy every CPU."""

    def __init__(self, hashes: dict[str, str], bcrypt: ModuleType) -> None:
        self._hashes = {name: value.encode() for name, value in hashes.items()}
        self._bcrypt = bcrypt
        self._lock = threading.Lock()
        self._secret = os.urandom(32)
        self._known: set[bytes] = set()  # keyed digests of accepted passwords: at most one per user

    def __call__(self, header: str) -> bool:
        scheme, _, word = header.partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            name, colon, password = base64.b64decode(word.strip(), validate=True).partition(b":")
        except (binascii.Error, ValueError):
            return False
        if not colon:
            return False
        digest = hmac.new(self._secret, name + b":" + password, hashlib.sha256).digest()
        if digest in self._known:
            return True
        wanted = self._hashes.get(name.decode("utf-8", "replace"))
        with self._lock:
            try:
                # bcrypt itself looks at no more than 72 bytes, and newer versions refuse longer ones.
                right = self._bcrypt.checkpw(password[:72], wanted or _DUMMY_HASH)
            except ValueError:
                right = False
        if wanted is None or not right:
            return False
        self._known.add(digest)
        return True


def load(path: Path) -> WebConfig:
    """UsageError where the file cannot be read or has an unsupported key or value; NotSupported without PyYAML, bcrypt."""
    try:
        import yaml
    except ImportError as error:
        raise _missing(path, error) from None
    try:
        document = yaml.safe_load(read_text(path)) or {}
    except (Unusable, yaml.YAMLError, RecursionError) as error:
        raise UsageError(f"web configuration {path}", str(error), "see lazyobs help fleet") from None
    try:
        return _config(document, path)
    except (TypeError, ValueError, KeyError, AttributeError, OSError) as error:
        raise UsageError(f"web configuration {path}", str(error), "see lazyobs help fleet") from None


def _config(document: Any, path: Path) -> WebConfig:
    if not isinstance(document, dict):
        raise ValueError("it is no mapping")
    unknown = set(document) - {"tls_server_config", "basic_auth_users"}
    if unknown:
        raise ValueError(f"{min(unknown)} is not supported")
    tls, users = document.get("tls_server_config"), document.get("basic_auth_users")
    return WebConfig(_tls(tls, path.parent) if tls else None, _users(users, path) if users else None)


def _tls(config: dict[str, str], directory: Path) -> ssl.SSLContext:
    unknown = set(config) - _TLS_KEYS
    if unknown:
        raise ValueError(f"tls_server_config: {min(unknown)} is not supported")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _choice(config, "min_version", _MIN_VERSIONS, "TLS12")
    certificate, key = (_file(config, name, directory) for name in ("cert_file", "key_file"))
    try:
        context.load_cert_chain(certificate, key, _no_password)
    except ssl.SSLError as error:
        raise ValueError(f"tls_server_config: cert_file {certificate} with key_file {key}: {error}") from None
    verify = _choice(config, "client_auth_type", _CLIENT_AUTH, "NoClientCert")
    if verify is not ssl.CERT_NONE:
        authority = _file(config, "client_ca_file", directory)
        try:
            context.load_verify_locations(authority)
        except ssl.SSLError as error:
            raise ValueError(f"tls_server_config: client_ca_file {authority}: {error}") from None
    elif "client_ca_file" in config:
        raise ValueError("tls_server_config: client_ca_file without client_auth_type: RequireAndVerifyClientCert")
    context.verify_mode = verify
    return context


def _file(config: dict[str, str], key: str, directory: Path) -> Path:
    """Relative to the configuration, as Prometheus has it. ValueError where it cannot be read."""
    name = config.get(key)
    if not isinstance(name, str):
        raise ValueError(f"tls_server_config: {key} is {name!r}, no name of a file")
    try:
        read_bytes(directory / name)  # OpenSSL's errors do not say of which file they are
    except Unusable as error:
        raise ValueError(f"tls_server_config: {key} {directory / name} {error}") from None
    return directory / name


def _no_password() -> str:
    """For an encrypted key. Without a callback OpenSSL would prompt on the terminal."""
    raise ValueError("tls_server_config: key_file is encrypted")


def _choice(config: dict[str, str], key: str, choices: dict[str, Any], otherwise: str) -> Any:
    word = config.get(key, otherwise)
    if word not in choices:
        raise ValueError(f"tls_server_config: {key} is {word!r}, not one of {', '.join(choices)}")
    return choices[word]


def _users(users: dict[str, str], path: Path) -> Users:
    try:
        import bcrypt
    except ImportError as error:
        raise _missing(path, error) from None
    for name, value in users.items():
        if not str(value).startswith(("$2a$", "$2b$", "$2y$")):
            raise ValueError(f"basic_auth_users: {name} has no bcrypt hash")
    return Users({str(name): str(value) for name, value in users.items()}, bcrypt)


def _missing(path: Path, error: ImportError) -> NotSupported:
    return NotSupported(f"web configuration {path}", str(error), way_to_install("web"))
