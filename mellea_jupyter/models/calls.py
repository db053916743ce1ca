"""LLM calls of a run, the sampling loops they belong to, and the source it ran.

Everything here is the program's own report, folded from the journal. Prompts, replies and
instructions are there only where the run kept its content (`config.capture_content`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from mellea_jupyter.models.base import Model
from mellea_jupyter.models.metrics import Usd


class CallShare(StrEnum):
    """What a call's money was spent on."""

    USEFUL = "useful"  # an answer, also one that did not pass
    REPAIR = "repair"
    JUDGE = "judge"
    WASTED = "wasted"  # failed and cancelled calls


class PriceSource(Model):
    """The price list behind a cost."""

    source: str = Field(description="`genai-prices`, `override`, `local`.")
    version: str = Field(description="Version of the list.")
    dated: str | None = Field(None, description="Day the list was made, ISO 8601.")


class LlmCall(Model):
    """One LLM call, as the program's runtime reported it."""

    call: int = Field(description="Number of the call in its run, from 1.")
    started_at: float = Field(description="Unix seconds.")
    purpose: str = Field(description="answer, repair, judge or tool")
    provider: str | None = Field(None, description="Backend that was asked.")
    model: str | None = Field(None, description="Model that was asked.")
    response_model: str | None = Field(None, description="Model that answered, as it said.")
    action: str | None = Field(None, description="mellea's class of what was generated.")
    status: str = Field(description="active, finished, failed or cancelled")
    input_tokens: int | None = Field(None, description="As reported; null when missing.")
    output_tokens: int | None = Field(None, description="As reported; null when missing.")
    cached_tokens: int | None = Field(None, description="Input tokens read from a cache.")
    cache_write_tokens: int | None = Field(None, description="Input tokens written into a cache.")
    reasoning_tokens: int | None = Field(None, description="Output tokens spent on reasoning.")
    latency_ms: float | None = Field(None, description="From the request to the whole reply.")
    ttft_ms: float | None = Field(None, description="To the first token; streamed calls only.")
    streaming: bool = Field(False, description="The reply was streamed.")
    finish_reason: str | None = Field(None, description="Why the reply ended.")
    requests: int = Field(1, description="Requests it made: more than one for a raw batch.")
    cost_usd: Usd | None = Field(None, description="US dollars; null when unpriced.")
    price: PriceSource | None = Field(None, description="Where the price comes from.")
    share: CallShare = Field(CallShare.USEFUL, description="What its money was spent on.")
    loop: int | None = Field(None, description="Sampling loop it belongs to.")
    chain: int | None = Field(None, description="Chain of attempts in its loop, from 1.")
    attempt: int | None = Field(None, description="Attempt in its chain, from 1.")
    requirement: int | None = Field(
        None, description="Judge calls: index of the requirement that is checked."
    )
    error: str | None = Field(None, description="Type and message of what it raised.")
    line: int | None = Field(None, description="Line of the log that tells of its end.")
    has_content: bool = Field(False, description="Prompt or reply can be read.")


class CallPage(Model):
    """Calls in order."""

    calls: tuple[LlmCall, ...] = Field(description="The calls.")
    next: int | None = Field(None, description="`after` of the next page; null on the last.")


class CallContent(Model):
    """What a call was asked and what it answered."""

    call: int = Field(description="Number of the call in its run.")
    prompt: str | None = Field(None, description="The prompt, as text; null when not kept.")
    reply: str | None = Field(None, description="The reply, as text; null when not kept.")
    prompt_bytes: int | None = Field(None, description="Size of the whole prompt, UTF-8.")
    reply_bytes: int | None = Field(None, description="Size of the whole reply, UTF-8.")
    truncated: bool = Field(False, description="Prompt or reply is cut.")


class LoopRequirement(Model):
    """What a loop asks of its samples."""

    index: int = Field(description="Place in the loop, from 0.")
    text: str = Field(description="The requirement in its own words.")
    kind: str = Field(description="function: checked by the program; judge: by a model")


class Verdict(Model):
    """What one requirement said of one attempt."""

    requirement: int | None = Field(
        None, description="Index of the requirement; null when it is not one of the loop's."
    )
    text: str = Field(description="The requirement in its own words.")
    passed: bool = Field(description="Whether it is met.")
    score: float | None = Field(None, description="Where the requirement gives one.")
    reason: str | None = Field(None, description="Why; only where content is kept.")
    latency_ms: float | None = Field(None, description="Time the check took.")
    calls: tuple[int, ...] = Field((), description="Judge calls it made.")


class LoopAttempt(Model):
    """One try in a chain, with what was said of it."""

    chain: int = Field(description="Chain, from 1: what one task tries one after another.")
    attempt: int = Field(description="Number in its chain, from 1.")
    form: str = Field(description="answer: the first; resample: the same again; repair: another")
    calls: tuple[int, ...] = Field((), description="Calls that generated it.")
    verdicts: tuple[Verdict, ...] = Field((), description="In the order they were given.")
    is_chosen: bool = Field(False, description="It is the loop's result.")


class SamplingLoop(Model):
    """One run of a sampling strategy."""

    loop: int = Field(description="Number of the loop in its run, from 1.")
    parent: int | None = Field(None, description="The loop around it.")
    strategy: str | None = Field(None, description="mellea's class of the strategy.")
    instruction: str | None = Field(None, description="Its beginning, where content is kept.")
    budget: int | None = Field(None, description="Most attempts of a chain.")
    concurrency: int | None = Field(None, description="Chains or samples at a time.")
    requirements: tuple[LoopRequirement, ...] = Field((), description="By index.")
    attempts: tuple[LoopAttempt, ...] = Field((), description="By chain, then by number.")
    status: str = Field(description="active, met, not_met or failed")
    chosen_loop: int | None = Field(
        None, description="The loop inside it whose result is its own; null when it tried itself."
    )
    error: str | None = Field(None, description="Type and message of what it raised.")
    started_at: float = Field(description="Unix seconds.")
    ended_at: float | None = Field(None, description="Unix seconds; null while active.")
    samples: int = Field(0, description="Answers generated, inner loops included.")
    cost_usd: Usd | None = Field(None, description="Of its priced calls, inner loops included.")
    repair_cost_usd: Usd | None = Field(None, description="Of its priced repairs.")
    unpriced_calls: int = Field(0, description="Its calls without a price.")
    left_out: int = Field(0, description="Attempts and verdicts over what is kept of a loop.")
    line: int | None = Field(None, description="Line of the log that tells of its end.")


class LoopPage(Model):
    """Sampling loops in the order they began."""

    loops: tuple[SamplingLoop, ...] = Field(description="The loops.")
    next: int | None = Field(None, description="`after` of the next page; null on the last.")


class CallsChanged(Model):
    """Calls and loops of a run that began, went on or ended; each as it is now."""

    type: Literal["calls_changed"] = "calls_changed"
    run_id: str = Field(description="Whose they are.")
    calls: tuple[LlmCall, ...] = Field((), description="By number.")
    loops: tuple[SamplingLoop, ...] = Field((), description="By number.")


class UsagePoint(Model):
    """What the run's processes used by a moment."""

    t: float = Field(description="Unix seconds.")
    memory_mb: float = Field(description="Memory of the process tree, in MiB.")
    cpu_seconds: float = Field(description="CPU time of the process tree so far.")
    cost_usd: Usd | None = Field(
        None, description="Cost of the priced calls so far; null when none has a price."
    )


class UsageSeries(Model):
    """Memory, CPU time and cost over a run's time."""

    points: tuple[UsagePoint, ...] = Field(description="In order of time, at most 300.")


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
