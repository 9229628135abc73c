# SPDX-License-Identifier: MIT
"""Arrow IPC streams: each message sealed when it is written, and looked at before it is decoded.

If a stream ends in the middle of a message because its writer was killed, it is *torn*: it is read up to the previous
message. Where bytes in its middle have changed it is *damaged*: the messages after them are found again by their
seals, whose numbers say how many rows are missing. Streams of earlier versions have no seals: what cannot be read ends
them.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from lazyobs.recording import limits, seal
from lazyobs.recording.arrow import pa
from lazyobs.recording.encoder import END
from lazyobs.recording.message import body_length, inflated_bytes

_ALIGNMENT = 8  # of messages
_MOST_TRIES = 64  # places where a header may begin, before a seal
_MOST_SEALS = 4096  # that turn out to be damaged
_BAD_CONTENT = (pa.ArrowException, OSError, ValueError, KeyError, TypeError, OverflowError)


@dataclass
class Damage:
    """What a stream has lost. ``rows`` are known to be missing; not ``certain``: more may be."""

    name: str
    rows: int = 0
    certain: bool = True

    def __str__(self) -> str:
        rows = f"{self.rows} {'row is' if self.rows == 1 else 'rows are'} lost"
        if self.certain:
            return f"{self.name} is damaged: {rows}"
        return f"{self.name} is damaged: at least {rows}" if self.rows else f"{self.name} is damaged at its end"


class StreamReader:
    """The batches of one stream. ``torn`` and ``damage`` are complete when the last batch was read."""

    def __init__(self, name: str, raw: bytes, sealed: bool) -> None:
        """``sealed``: the recording says that its files are; a stream that begins with a seal is, too."""
        self.torn = False
        self.damage: Damage | None = None
        self.schema: pa.Schema | None = None
        self.sealed = sealed or bool(seal.seals_in(memoryview(raw)[: seal.header_length(raw)]))
        self._name, self._raw = name, raw
        self._number = self._rows = self._last_rows = self._inflated = 0

    def batches(self) -> Iterator[pa.RecordBatch]:
        """TooLarge where a message is larger than the limits; ValueError, OSError or another error of pyarrow where one is
        sealed and yet no batch."""
        decoded = False
        for header, message in self._sealed() if self.sealed else self._unsealed():
            try:
                if self.schema is None:
                    if not self.sealed or self._number == 1:
                        self.schema = pa.ipc.read_schema(pa.ipc.read_message(message)).remove_metadata()
                        continue
                    self._lose(self._last_rows)  # whatever its columns were
                    continue
                batch = self._decode(header, message, self.schema)
            except _BAD_CONTENT:
                if self.sealed:
                    raise
                self.torn = True
                return
            decoded = True
            yield batch
        # A stream begins with its schema and a batch, in one write.
        self.torn = self.torn or not (decoded or self.damage)

    def _decode(self, header: bytes, message: memoryview, schema: pa.Schema) -> pa.RecordBatch:
        inflated = inflated_bytes(header, message[len(header) :])
        self._inflated += inflated
        why = limits.too_large("a batch", inflated, limits.BATCH) or limits.too_large(
            "data", self._inflated, limits.INFLATED
        )
        if why:
            raise TooLarge(why)
        batch = pa.ipc.read_record_batch(pa.ipc.read_message(message), schema)
        batch.validate(full=True)
        return batch

    def _sealed(self) -> Iterator[tuple[bytes, memoryview]]:
        """(header, whole message) of the intact messages."""
        raw, at = self._raw, 0
        while at < len(raw):
            header = raw[at : at + seal.header_length(raw, at)]
            found = seal.read_message_seal(header) if header else None
            if found is None:
                after = self._next_intact(at)
                if after is None:
                    self._look_at_end(at)
                    return
                self._lose(0)
                at = after
                continue
            if at + found.length > len(raw):
                self.torn = True
                return
            if found.number != self._number:
                self._lose(max(found.rows_before - self._rows, 0))
            self._number, self._rows, self._last_rows = found.number + 1, found.rows_before + found.rows, found.rows
            message = memoryview(raw)[at : at + found.length]
            at += found.length
            if zlib.crc32(message[found.header :]) == found.body_crc:
                yield header, message
            else:
                self._lose(found.rows)

    def _lose(self, rows: int, certain: bool = True) -> None:
        damage = self.damage = self.damage or Damage(self._name)
        damage.rows += rows
        damage.certain = damage.certain and certain

    def _next_intact(self, after: int) -> int | None:
        """Where the next message with an intact header begins."""
        raw = self._raw
        for place in seal.seals_in(memoryview(raw)[after + 1 :])[:_MOST_SEALS]:
            end = place + after + 1
            for _ in range(_MOST_TRIES):
                end = raw.rfind(seal.PREFIX, after + 1, end + len(seal.PREFIX) - 1)
                if end < 0:
                    break
                length = seal.header_length(raw, end)
                if end % _ALIGNMENT == 0 and length and seal.read_message_seal(raw[end : end + length]):
                    return end
        return None

    def _look_at_end(self, at: int) -> None:
        """No intact message follows. What a killed writer leaves is the beginning of a message, or, after a power
        failure, zeros; anything else is damage."""
        rest = memoryview(self._raw)[at:]
        if bytes(rest) == END or rest.nbytes == 0:
            return
        begins = seal.PREFIX.startswith(bytes(rest[:4]))
        length = seal.header_length(rest)
        complete = any(found <= rest.nbytes for found in seal.headers_claimed(rest))
        if not any(bytes(rest)) or (begins and (rest.nbytes < _ALIGNMENT or length > rest.nbytes) and not complete):
            self.torn = True
        else:
            self._lose(0, certain=False)

    def _unsealed(self) -> Iterator[tuple[bytes, memoryview]]:
        raw, at = self._raw, 0
        while at < len(raw) and raw[at:] != END:
            length = seal.header_length(raw, at)
            header = raw[at : at + length]
            try:
                end = at + length + body_length(header)
            except ValueError:
                end = len(raw) + 1
            if not length or end > len(raw):
                self.torn = True
                return
            yield header, memoryview(raw)[at:end]
            at = end


class TooLarge(Exception):
    """A part of a recording is larger than lazyobs/recording/limits.py permits."""
