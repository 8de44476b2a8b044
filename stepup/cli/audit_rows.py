"""An entry of the audit log as a line: a JSON object, or a row of a table."""

import csv
import io
from collections.abc import Mapping
from typing import Protocol

import msgspec
from typing_extensions import override

from stepup.domain.audit import AuditRecord

COLUMNS = (
    "seq",
    "position",
    "at",
    "kind",
    "client_id",
    "subject_id",
    "action",
    "challenge_id",
    "details",
    "entry_id",
    "previous",
    "hash",
)
_encoder = msgspec.json.Encoder()
# A spreadsheet takes a cell that begins like this for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Lines(Protocol):
    """How a log is written line by line."""

    def head(self) -> tuple[str, ...]:
        """Return what comes before the first entry."""
        ...

    def row(self, record: AuditRecord) -> str:
        """Return the line of an entry."""
        ...


class JsonLines(Lines):
    """JSON Lines: every entry exactly as it is."""

    @override
    def head(self) -> tuple[str, ...]:
        return ()

    @override
    def row(self, record: AuditRecord) -> str:
        return _encoder.encode(_fields(record)).decode()


class CsvTable(Lines):
    """CSV (RFC 4180), for people: a text that looks like a formula is quoted once more."""

    @override
    def head(self) -> tuple[str, ...]:
        return (",".join(COLUMNS),)

    @override
    def row(self, record: AuditRecord) -> str:
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow(map(_cell, _fields(record).values()))
        return line.getvalue()


FORMATS: Mapping[str, type[Lines]] = {"jsonl": JsonLines, "csv": CsvTable}


def _fields(record: AuditRecord) -> dict[str, object]:
    link = record.link
    linked = {
        "position": link and link.position,
        "previous": link and link.previous.hex(),
        "hash": link and link.hash.hex(),
    }
    return {name: linked[name] if name in linked else getattr(record, name) for name in COLUMNS}


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else _encoder.encode(value).decode().strip('"')
    return f"'{text}" if text.startswith(_FORMULA) else text
