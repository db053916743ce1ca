"""Log lines as the bytes that go over the wire, one encoding for everybody who looks.

A million lines pass here when a program prints a million: what is common to the lines of a frame
is formatted once, and of each line only its message, its numbers.
"""

from __future__ import annotations

import orjson

from mellea_jupyter.stores.journals.views import Block


def encode(block: Block, skip: int = 0) -> tuple[bytes, bytes, int]:
    """The lines of a block after the first `skip`: as SSE events, as JSON lines, and how many.

    Each JSON object is what `LogFrame` serialises to.
    """
    count = len(block.messages)
    if skip >= count:
        return b"", b"", 0
    documents = _documents(block)[skip:]
    head = b"id: %d." % block.seq
    events = [
        b"%b%d\nevent: log\ndata: %b\n\n" % (head, k, document)
        for k, document in enumerate(documents, skip + 1)
    ]
    return b"".join(events), b"\n".join(documents) + b"\n", count - skip


def _documents(block: Block) -> list[bytes]:
    head = (
        f'{{"timestamp":"{block.timestamp}","stream":"{block.stream.value}",'
        f'"level":"{block.level.value}","message":"'
    ).encode()
    middle = b'","metadata":%b,"line":' % orjson.dumps(block.metadata)
    cursor = b',"cursor":"%d.' % block.seq
    tail = b'","partial":false,"continues":false}'
    # Quotes inside a JSON string are escaped, so this is never found within a message.
    messages = orjson.dumps(block.messages)[2:-2].split(b'","')
    before = block.first_line - 1
    documents = [
        b"%b%b%b%d%b%d%b" % (head, message, middle, before + k, cursor, k, tail)
        for k, message in enumerate(messages, 1)
    ]
    last = len(documents) - 1
    special = {*block.cut, *([last] if block.partial else ()), *([0] if block.continues else ())}
    for index in special:
        documents[index] = orjson.dumps(dict(block.log_frame(index)))
    return documents
