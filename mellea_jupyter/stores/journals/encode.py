"""Log lines as the bytes that go over the wire, one encoding for everybody who looks.

A million lines pass here when a program prints a million: what is common to the lines of a frame
is formatted once, and of each line only its message, its numbers.
"""

from __future__ import annotations

import orjson

from mellea_jupyter.stores.journals.views import Block


def encode(block: Block, skip: int = 0) -> tuple[str, str, int]:
    """The lines of a block after the first `skip`: as SSE events, as JSON lines, and how many.

    Each JSON object is what `LogFrame` serialises to.
    """
    count = len(block.messages)
    if skip >= count:
        return "", "", 0
    documents = _documents(block)[skip:]
    seq = block.seq
    events = [
        f"id: {seq}.{k}\nevent: log\ndata: {document}\n\n"
        for k, document in enumerate(documents, skip + 1)
    ]
    return "".join(events), "\n".join(documents) + "\n", count - skip


def _documents(block: Block) -> list[str]:
    head = (
        f'{{"timestamp":"{block.timestamp}","stream":"{block.stream.value}",'
        f'"level":"{block.level.value}","message":"'
    )
    metadata = orjson.dumps(block.metadata).decode()
    middle = f'","metadata":{metadata},"line":'
    cursor = f',"cursor":"{block.seq}.'
    tail = '","partial":false,"continues":false}'
    # Quotes inside a JSON string are escaped, so this is never found within a message.
    messages = orjson.dumps(block.messages)[2:-2].decode().split('","')
    before = block.first_line - 1
    documents = [
        f"{head}{message}{middle}{before + k}{cursor}{k}{tail}"
        for k, message in enumerate(messages, 1)
    ]
    last = len(documents) - 1
    special = {*block.cut, *([last] if block.partial else ()), *([0] if block.continues else ())}
    for index in special:
        documents[index] = orjson.dumps(dict(block.log_frame(index))).decode()
    return documents
