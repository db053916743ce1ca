"""LLM calls of a run and the source it ran, as the API gives them."""

from __future__ import annotations

from pydantic import Field

from mellea_jupyter.models.base import Model
from mellea_jupyter.models.metrics import Usd


class LlmCall(Model):
    """One LLM call, as the program's runtime reported it."""

    call: int = Field(description="Number of the call in its run, from 1.")
    started_at: float = Field(description="Unix seconds.")
    purpose: str = Field(description="answer, repair, judge or tool")
    provider: str | None = Field(None, description="Backend that was asked.")
    model: str | None = Field(None, description="Model that was asked.")
    status: str = Field(description="active, finished, failed or cancelled")
    input_tokens: int | None = Field(None, description="As reported; null when missing.")
    output_tokens: int | None = Field(None, description="As reported; null when missing.")
    latency_ms: float | None = Field(None, description="From the request to the whole reply.")
    cost_usd: Usd | None = Field(None, description="US dollars; null when unpriced.")
    loop: int | None = Field(None, description="Sampling loop it belongs to.")
    attempt: int | None = Field(None, description="Attempt in its chain, from 1.")
    error: str | None = Field(None, description="Type and message of what it raised.")


class CallPage(Model):
    """Calls in order."""

    calls: tuple[LlmCall, ...] = Field(description="The calls.")
    next: int | None = Field(None, description="`after` of the next page; null on the last.")


class SourceFile(Model):
    """One file of the source that ran."""

    path: str = Field(description="Relative path with `/`.")
    size_bytes: int = Field(description="Size of the file.")
    text: str | None = Field(None, description="Content; null when binary or over 1 MiB.")


class SourceReply(Model):
    """The source that ran."""

    entry_point: str = Field(description="What was started.")
    version: str = Field(description="The asset's version.")
    files: tuple[SourceFile, ...] = Field(description="Ordered by path.")
