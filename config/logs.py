"""Set up logging: one form on standard error for tradewire and its libraries, with secrets masked."""

import logging
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Literal, TextIO
from urllib.parse import unquote

import structlog
from pydantic import SecretStr
from structlog.typing import EventDict, Processor, WrappedLogger

from config.log_limit import LimitedHandler
from pipeline.model.texts import json_text, printable

#: The text that replaces a secret.
MASK = "***"

_SECRET_NAME = re.compile(
    r"(^|[_.\- ])(password|passwd|pwd|secret|token|credential|authorization|cookie)s?($|[_.\- ])|api_?key",
    re.IGNORECASE,
)
# The scheme itself is not matched: a search for it would start again at each letter of a long text.
_LOGIN_IN_URL = re.compile(r"(?<=[a-z0-9+.\-])(?P<before>://[^\s:/@]*:)(?P<password>[^\s@/]+)(?=@)", re.IGNORECASE)
_PASSWORD_IN_QUERY = re.compile(r"(?<=[?&])(?P<before>(?:ssl)?password=)[^&\s\"']+", re.IGNORECASE)
_PART_OF_QUERY = re.compile(r"[?&]([^=&\s]{1,100})=([^&\s]*)")

# A shorter value is not masked: it occurs in too many ordinary words.
_SHORTEST_SECRET = 4

# A longer text is cut before it is masked, because others can choose its length.
_LONGEST_TEXT = 20_000
_LONGEST_LOGIN = 500
_OF_SEVERAL_LINES = ("exception", "stack")

# These log every request at INFO, some with an address.
_CHATTY = ("alpaca", "httpcore", "httpx", "urllib3", "websockets")
# This logs every attempt to connect while PostgreSQL is away; tradewire itself logs the outage once.
_REPETITIVE = ("psycopg.pool",)

_secrets: set[str] = set()


def register_secret(value: SecretStr | str | None) -> None:
    """Mask *value* in every log line from now on; of a URL, mask its passwords, also those in its query."""
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if text is None or len(text) < _SHORTEST_SECRET:
        return
    if "://" not in text:
        _secrets.add(text)
        return
    # The address may be logged, but not its passwords, neither percent-encoded nor decoded.
    for password in _passwords_in(text):
        _secrets.update(form for form in (password, unquote(password)) if len(form) >= _SHORTEST_SECRET)


def _passwords_in(address: str) -> Iterator[str]:
    login = _LOGIN_IN_URL.search(address)
    if login is not None:
        yield login["password"]
    for name, value in _PART_OF_QUERY.findall(address):
        if unquote(name).endswith("password"):
            yield value


def masked(value: Any, *, name: str = "") -> Any:
    """Return *value* with its secrets masked, at any depth. If *name* names a secret, all of it is masked."""
    if name and _SECRET_NAME.search(name) and value is not None and not isinstance(value, bool):
        return MASK
    if isinstance(value, SecretStr):
        return MASK
    if isinstance(value, str):
        return _masked_text(value)
    if isinstance(value, Mapping):
        return {key: masked(held, name=str(key)) for key, held in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [masked(held) for held in value]
    return value


def without_secrets(text: str) -> str:
    """Return *text* with every registered secret masked; of a long text, only the beginning and the end."""
    return _masked_text(text)


def configure_logs(
    style: Literal["console", "json"], *, process: str, level: int = logging.INFO, stream: TextIO | None = None
) -> None:
    """Send the log lines of this process and its libraries to *stream*, in one form, with the name *process*."""
    stream = stream or sys.stderr
    before = _steps(process, style)
    last = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, _renderer(style, stream)]
    handler = LimitedHandler(stream)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=before, processors=last))
    _take_over_stdlib(handler, level)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *before,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _steps(process: str, style: str) -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _names_process(process),
        structlog.processors.StackInfoRenderer(),
        # Tracebacks become text without local variables, so that secrets in them are masked too.
        structlog.processors.format_exc_info,
        _mask_secrets,
        *([] if style == "json" else [_escape_texts]),
    ]


def _renderer(style: str, stream: TextIO) -> Processor:
    if style == "json":
        return structlog.processors.JSONRenderer(serializer=json_text, default=str)
    colors = stream.isatty()
    return structlog.dev.ConsoleRenderer(
        colors=colors, exception_formatter=structlog.dev.plain_traceback, pad_event_to=28
    )


def _take_over_stdlib(handler: logging.Handler, level: int) -> None:
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    for name in _REPETITIVE:
        logging.getLogger(name).setLevel(max(level, logging.ERROR))
    # Libraries that were set up earlier have handlers of their own, which would write unmasked lines.
    for logger in list(logging.root.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger):
            logger.handlers.clear()
            logger.propagate = True
    logging.captureWarnings(capture=True)


def _names_process(process: str) -> Processor:
    def name_process(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event.setdefault("process", process)
        return event

    return name_process


def _mask_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    # The keys of structlog itself (`_record`, `_from_structlog`) are not rendered.
    return {key: held if key.startswith("_") else masked(held, name=key) for key, held in event.items()}


def _escape_texts(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    # All other values are rendered by `repr`, which escapes control characters.
    return {
        key: printable(held, lines=key in _OF_SEVERAL_LINES) if isinstance(held, str) else held
        for key, held in event.items()
    }


def _masked_text(text: str) -> str:
    """Return *text* with its secrets masked; of a long text, only the beginning and the end."""
    if len(text) <= _LONGEST_TEXT:
        return _without_secrets(text)
    half = _LONGEST_TEXT // 2
    # A secret may have been cut in two: next to the cut, as many characters are dropped as the longest secret has.
    dropped = max(_LONGEST_LOGIN, *map(len, _secrets), 0)
    begin, end = _without_secrets(text[:half]), _without_secrets(text[-half:])
    return f"{begin[:-dropped]} … {end[dropped:]}"


def _without_secrets(text: str) -> str:
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    text = _LOGIN_IN_URL.sub(rf"\g<before>{MASK}", text)
    return _PASSWORD_IN_QUERY.sub(rf"\g<before>{MASK}", text)
