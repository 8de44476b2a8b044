"""The log: how its lines look, and what they must not show."""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from typing import Any

import msgspec
import structlog
from structlog.typing import Processor

_SECRET_KEYS = frozenset(
    {
        "access_token",
        "admin_token",
        "api_key",
        "assertion",
        "authorization",
        "client_secret",
        "code",
        "code_verifier",
        "cookie",
        "credential",
        "id_token",
        "key_encryption_keys",
        "login_token",
        "nonce",
        "password",
        "pkcs11_pin",
        "proof",
        "postgres_url",
        "redis_url",
        "refresh_token",
        "request_uri",
        "secret",
        "set_cookie",
        "step_up_ticket",
        "subject_token",
        "ticket",
        "token",
        "webauthn_challenge",
    }
)
# A password inside a URL, and words with dots between them, which may be a JWT or a handle of ours.
# No word is begun in its middle, nor given back: a long line is read once, whatever it says.
_SUSPECT_TEXT = re.compile(
    r"(?<=://)[^/@\s:]*+:[^/@\s]+(?=@)|(?<![\w-])(?P<words>[\w-]++(?:\.[\w-]*+){2,})"
)
# One character, a dot, 22, a dot, 20.
_SHORTEST_HANDLE = 45
_HIDDEN = "***"


def configure_logging(level: str = "info", log_format: str = "json") -> None:
    """Send every line of ours and of the libraries to standard error, redacted."""
    numeric = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        redact,
    ]
    last = _console() if log_format == "console" else _as_json
    structlog.configure(
        processors=[*shared, last],
        wrapper_class=structlog.make_filtering_bound_logger(numeric),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
            foreign_pre_chain=shared,
        )
    )
    logging.root.handlers = [handler]
    # Libraries speak when something is wrong; one line per request is ours to write.
    logging.root.setLevel(max(numeric, logging.WARNING))


def log_for_operator() -> None:
    """Send the lines of a command to standard error: its standard output is for what it says.

    A service that has configured its own log keeps it.
    """
    if structlog.is_configured():
        return
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.processors.format_exc_info,
            redact,
            _console(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Hide what no log may show: under its own name, or recognizable by its form."""
    return {key: _redacted(key, value) for key, value in event.items()}


def _redacted(key: str, value: Any) -> Any:
    if _is_secret(key):
        return _HIDDEN
    if isinstance(value, str):
        return _SUSPECT_TEXT.sub(_hidden, value) if _may_hold_secret(value) else value
    if isinstance(value, Mapping):
        return {str(name): _redacted(str(name), inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted("", inner) for inner in value]
    return value


def _hidden(suspect: re.Match[str]) -> str:
    if suspect["words"] is None:
        return _HIDDEN
    words = suspect["words"].split(".")
    triples = zip(words, words[1:], words[2:], strict=False)
    return _HIDDEN if any(map(_is_token, triples)) else suspect[0]


def _is_token(words: tuple[str, str, str]) -> bool:
    first, second, third = words
    # The base64url of `{"`, and at least a name after it; or a challenge and its secret.
    is_jwt = bool(second) and "eyJ" in first[:-8]
    return is_jwt or (len(second) == 22 and len(third) >= 20 and first[-1:].isalnum())


# Our own keys are few; a library's are not many more.
@lru_cache(maxsize=1024)
def _is_secret(key: str) -> bool:
    return key.lower().replace("-", "_") in _SECRET_KEYS


def _may_hold_secret(text: str) -> bool:
    """Spare an ordinary value the search; whatever must be hidden has one of these marks."""
    return "eyJ" in text or "@" in text or len(text) >= _SHORTEST_HANDLE


def _as_json(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    return msgspec.json.encode(event, enc_hook=repr).decode()


def _console() -> Processor:
    return structlog.dev.ConsoleRenderer(timestamp_key="at", colors=sys.stderr.isatty())
