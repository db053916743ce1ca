"""What is known of one LLM call, and what its money was spent on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from mellea_jupyter.accounting.pricing import Price
from mellea_jupyter.accounting.reading import (
    Frame,
    MalformedFrame,
    Texts,
    count,
    number,
    required_count,
    text,
)
from mellea_jupyter.models.calls import CallShare

Purpose = Literal["answer", "repair", "judge", "tool"]
CallStatus = Literal["active", "finished", "failed", "cancelled"]

_PURPOSES: Final = {"answer", "repair", "judge", "tool"}
_SHARES: Final = {"repair": CallShare.REPAIR, "judge": CallShare.JUDGE}


@dataclass(slots=True)
class CallRecord:
    """One LLM call. Times are Unix seconds; absent facts are None.

    ``seq`` is the last frame that told of it: of a call that has ended, the prompt and the reply
    are read from there. ``requirement`` is the index of what a judge call checks.
    """

    call: int
    purpose: Purpose
    status: CallStatus = "active"
    provider: str | None = None
    model: str | None = None
    response_model: str | None = None
    action: str | None = None
    loop: int | None = None
    chain: int | None = None
    attempt: int | None = None
    requirement: int | None = None
    is_raw: bool = False
    requests: int = 1
    samples: int = 1
    started_at: float | None = None
    latency_ms: float | None = None
    ttft_ms: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    finish_reason: str | None = None
    streaming: bool = False
    has_content: bool = False
    error: dict[str, Any] | None = None
    price: Price | None = None
    seq: int | None = None
    line: int | None = None

    @property
    def share(self) -> CallShare:
        """What its money was spent on."""
        return share_of(self.purpose, self.status)


def share_of(purpose: str, status: str) -> CallShare:
    """What a call of this purpose and status spends money on."""
    if status in ("failed", "cancelled"):
        return CallShare.WASTED
    return _SHARES.get(purpose, CallShare.USEFUL)


def new_call(frame: Frame, texts: Texts) -> CallRecord:
    """The record of a call that this frame tells of first.

    Raises:
        MalformedFrame: it does not follow the contract.
    """
    purpose = frame.get("purpose")
    if not isinstance(purpose, str) or purpose not in _PURPOSES:
        raise MalformedFrame("purpose")
    is_raw = frame.get("raw") is True
    return CallRecord(
        call=required_count(frame, "call"),
        purpose=purpose,  # type: ignore[arg-type]  # checked against the set above
        provider=texts.keep(text(frame, "provider")),
        model=texts.keep(text(frame, "model")),
        action=texts.keep(text(frame, "action")),
        loop=count(frame, "loop"),
        chain=count(frame, "chain"),
        attempt=count(frame, "attempt"),
        requirement=count(frame, "index"),
        is_raw=is_raw,
        requests=(count(frame, "requests") if is_raw else None) or 1,
        started_at=number(frame, "t"),
        seq=count(frame, "seq"),
    )
