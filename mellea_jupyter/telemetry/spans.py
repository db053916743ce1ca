"""A run's calls, loops and attempts as the spans of one trace.

The ids follow from the run's: exporting it again gives the same spans, and the trace is found by
the run's id without its dashes.

Source: OpenTelemetry semantic conventions for generative AI, as of schema 1.44 (attributes
`gen_ai.*`, operation names `chat` and `invoke_workflow`, the event `gen_ai.evaluation.result`).
What they have no name for is `mellea.*`.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from mellea_jupyter.models.calls import (
    CallContent,
    LlmCall,
    LoopAttempt,
    SamplingLoop,
    Verdict,
)
from mellea_jupyter.models.run import Run, RunStatus

SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.44.0"

_SCOPE: Final = InstrumentationScope("mellea_jupyter", schema_url=SCHEMA_URL)
_PROVIDERS: Final = {
    "watsonx": "ibm.watsonx.ai",
    "bedrock": "aws.bedrock",
    "azure": "azure.ai.openai",
}

Attributes = dict[str, str | bool | int | float | Sequence[str]]


@dataclass(frozen=True, slots=True)
class Trace:
    """What is exported of a run.

    Attributes:
        run: its record; it has ended.
        calls: its LLM calls.
        loops: its sampling loops.
        contents: prompts and replies by the call's number; empty where they stay here.
        tells_content: whether texts that people or models wrote are told.
    """

    run: Run
    calls: Sequence[LlmCall] = ()
    loops: Sequence[SamplingLoop] = ()
    contents: Mapping[int, CallContent] = field(default_factory=dict)
    tells_content: bool = False


def spans_of(trace: Trace, *, service_name: str) -> list[ReadableSpan]:
    """The root span first: the run. Below it loops, in them attempts, in them calls."""
    return _Spans(trace, service_name).build()


def trace_id_of(run_id: str) -> int:
    """The trace of a run."""
    return uuid.UUID(run_id).int


class _Spans:
    def __init__(self, trace: Trace, service_name: str) -> None:
        self._trace = trace
        self._run = trace.run
        self._trace_id = trace_id_of(trace.run.id)
        resource: Attributes = {"service.name": service_name}
        if trace.run.host:
            resource["host.name"] = trace.run.host
        self._resource = Resource(resource)
        self._parents: dict[int, SpanContext] = {}  # of calls, by number

    def build(self) -> list[ReadableSpan]:
        spans = [self._root()]
        calls = {call.call: call for call in self._trace.calls}
        for loop in self._trace.loops:
            spans.append(self._loop(loop))
            spans += [self._attempt(loop, attempt, calls) for attempt in loop.attempts]
        spans += [self._call(call) for call in self._trace.calls]
        return spans

    def _root(self) -> ReadableSpan:
        run, used = self._run, self._run.metrics
        attributes: Attributes = {
            "gen_ai.operation.name": "invoke_workflow",
            "gen_ai.workflow.name": run.asset_name or run.asset_id,
            "gen_ai.usage.input_tokens": used.input_tokens,
            "gen_ai.usage.output_tokens": used.output_tokens,
            "user.id": run.owner_id,
            "mellea.run.id": run.id,
            "mellea.run.status": run.status.value,
            "mellea.run.attempt": run.attempt,
            "mellea.asset.id": run.asset_id,
            "mellea.asset.version": run.asset_version,
            "mellea.usage.llm_calls": used.llm_calls,
            "mellea.trace.calls": len(self._trace.calls),
            "mellea.usage.calls_without_usage": used.calls_without_usage,
            "mellea.usage.unpriced_calls": used.unpriced_calls,
            "mellea.loops.exhausted": used.loops_exhausted,
        }
        optional = {
            "gen_ai.request.model": run.config.model,
            "mellea.run.status_reason": run.status_reason,
            "mellea.run.group_id": run.group_id,
            "mellea.run.environment": run.environment_name,
            "mellea.run.exit_code": run.exit_code,
            "mellea.run.tags": run.tags or None,
            "mellea.usage.cost_usd": _float(used.estimated_cost_usd),
        }
        attributes |= {name: value for name, value in optional.items() if value is not None}
        status = Status(StatusCode.OK if run.status is RunStatus.SUCCEEDED else StatusCode.UNSET)
        if run.status is RunStatus.FAILED:
            attributes["error.type"] = run.error.type if run.error else str(run.status_reason)
            said = run.error_message if self._trace.tells_content else run.status_reason
            status = Status(StatusCode.ERROR, said)
        links = []
        if run.retry_of is not None:
            links.append(Link(_context(trace_id_of(run.retry_of), "run", run.retry_of)))
        return self._span(
            f"invoke_workflow {run.asset_name or run.asset_id}", "run", None,
            (_ns(self._begin), _ns(self._end)), attributes, status=status, links=links,
        )  # fmt: skip

    def _loop(self, loop: SamplingLoop) -> ReadableSpan:
        attributes: Attributes = {
            "mellea.loop.number": loop.loop,
            "mellea.loop.status": loop.status,
            "mellea.loop.samples": loop.samples,
            "mellea.loop.requirements": len(loop.requirements),
            "mellea.usage.unpriced_calls": loop.unpriced_calls,
        }
        optional = {
            "mellea.loop.strategy": loop.strategy,
            "mellea.loop.budget": loop.budget,
            "mellea.usage.cost_usd": _float(loop.cost_usd),
        }
        attributes |= {name: value for name, value in optional.items() if value is not None}
        if self._trace.tells_content and loop.instruction:
            attributes["mellea.loop.instruction"] = loop.instruction
        parent = "run" if loop.parent is None else f"loop/{loop.parent}"
        end = self._end if loop.ended_at is None else loop.ended_at
        return self._span(
            f"sample {loop.strategy or 'loop'}", f"loop/{loop.loop}", parent,
            (_ns(loop.started_at), _ns(end)), attributes,
            status=self._status(loop.error, attributes),
        )  # fmt: skip

    def _attempt(
        self, loop: SamplingLoop, attempt: LoopAttempt, calls: Mapping[int, LlmCall]
    ) -> ReadableSpan:
        key = f"loop/{loop.loop}/{attempt.chain}/{attempt.attempt}"
        own = self._context(key)
        numbers = [*attempt.calls, *(n for verdict in attempt.verdicts for n in verdict.calls)]
        made = [calls[number] for number in numbers if number in calls]
        for call in made:
            self._parents[call.call] = own
        begin = min((call.started_at for call in made), default=loop.started_at)
        end = max((self._end_of(call) for call in made), default=begin)
        attributes: Attributes = {
            "mellea.attempt.number": attempt.attempt,
            "mellea.attempt.chain": attempt.chain,
            "mellea.attempt.form": attempt.form,
            "mellea.attempt.is_chosen": attempt.is_chosen,
            "mellea.attempt.passed": sum(verdict.passed for verdict in attempt.verdicts),
            "mellea.attempt.judged": len(attempt.verdicts),
        }
        events = [self._evaluation(verdict, end) for verdict in attempt.verdicts]
        return self._span(
            f"{attempt.form} {attempt.attempt}", key, f"loop/{loop.loop}",
            (_ns(begin), _ns(end)), attributes, events=events,
        )  # fmt: skip

    def _evaluation(self, verdict: Verdict, moment: float) -> Event:
        number = "" if verdict.requirement is None else f" {verdict.requirement + 1}"
        attributes: Attributes = {
            "gen_ai.evaluation.name": f"requirement{number}",
            "gen_ai.evaluation.score.label": "pass" if verdict.passed else "fail",
        }
        if verdict.score is not None:
            attributes["gen_ai.evaluation.score.value"] = verdict.score
        if self._trace.tells_content:
            attributes["gen_ai.evaluation.name"] = verdict.text
            if verdict.reason:
                attributes["gen_ai.evaluation.explanation"] = verdict.reason
        return Event("gen_ai.evaluation.result", attributes, _ns(moment))

    def _call(self, call: LlmCall) -> ReadableSpan:
        provider = call.provider or "unknown"
        attributes: Attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": _PROVIDERS.get(provider, provider),
            "gen_ai.request.stream": call.streaming,
            "mellea.call.number": call.call,
            "mellea.call.purpose": call.purpose,
            "mellea.call.status": call.status,
            "mellea.call.share": call.share.value,
        }
        optional = {
            "gen_ai.request.model": call.model,
            "gen_ai.response.model": call.response_model,
            "gen_ai.response.finish_reasons": (call.finish_reason,) if call.finish_reason else None,
            "gen_ai.response.time_to_first_chunk": (
                None if call.ttft_ms is None else call.ttft_ms / 1000
            ),
            "gen_ai.usage.input_tokens": call.input_tokens,
            "gen_ai.usage.output_tokens": call.output_tokens,
            "gen_ai.usage.cache_read.input_tokens": call.cached_tokens,
            "gen_ai.usage.reasoning.output_tokens": call.reasoning_tokens,
            "mellea.usage.cost_usd": _float(call.cost_usd),
        }
        attributes |= {name: value for name, value in optional.items() if value is not None}
        attributes |= _content(self._trace.contents.get(call.call))
        parent = self._parents.get(call.call)
        around = "run" if call.loop is None else f"loop/{call.loop}"
        return self._span(
            f"chat {call.model}" if call.model else "chat", f"call/{call.call}",
            around if parent is None else parent,
            (_ns(call.started_at), _ns(self._end_of(call))), attributes,
            kind=SpanKind.CLIENT, status=self._status(call.error, attributes),
        )  # fmt: skip

    def _status(self, error: str | None, attributes: Attributes) -> Status:
        """ERROR for what raised; the type alone where texts are not told."""
        if error is None:
            return Status(StatusCode.UNSET)
        kind = error.partition(":")[0]
        attributes["error.type"] = kind
        return Status(StatusCode.ERROR, error if self._trace.tells_content else kind)

    @property
    def _begin(self) -> float:
        return _seconds(self._run.started_at or self._run.created_at)

    @property
    def _end(self) -> float:
        return _seconds(self._run.finished_at or self._run.started_at or self._run.created_at)

    def _end_of(self, call: LlmCall) -> float:
        """What was not answered lasted until the run ended."""
        if call.latency_ms is None:
            return max(call.started_at, self._end) if call.status == "active" else call.started_at
        return call.started_at + call.latency_ms / 1000

    def _context(self, key: str) -> SpanContext:
        return _context(self._trace_id, key, self._run.id)

    def _span(
        self,
        name: str,
        key: str,
        parent: SpanContext | str | None,
        moments: tuple[int, int],
        attributes: Attributes,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        status: Status | None = None,
        events: Iterable[Event] = (),
        links: Iterable[Link] = (),
    ) -> ReadableSpan:
        begin, end = moments
        return ReadableSpan(
            name=name,
            context=self._context(key),
            parent=self._context(parent) if isinstance(parent, str) else parent,
            resource=self._resource,
            attributes=attributes,
            events=tuple(events),
            links=tuple(links),
            kind=kind,
            status=status or Status(StatusCode.UNSET),
            start_time=begin,
            end_time=max(begin, end),
            instrumentation_scope=_SCOPE,
        )


def _context(trace_id: int, key: str, run_id: str) -> SpanContext:
    digest = hashlib.sha256(f"{run_id}/{key}".encode()).digest()
    span_id = int.from_bytes(digest[:8]) or 1
    return SpanContext(trace_id, span_id, is_remote=False, trace_flags=TraceFlags(1))


def _content(content: CallContent | None) -> Attributes:
    """Messages as the conventions have them: JSON in a string."""
    if content is None:
        return {}
    found: Attributes = {}
    sides = (("gen_ai.input.messages", "user", content.prompt),
             ("gen_ai.output.messages", "assistant", content.reply))  # fmt: skip
    for name, role, text in sides:
        if text is not None:
            message = {"role": role, "parts": [{"type": "text", "content": text}]}
            found[name] = json.dumps([message], ensure_ascii=False)
    return found


def _float(value: Any) -> float | None:
    return None if value is None else float(value)


def _seconds(moment: datetime) -> float:
    return moment.timestamp()


def _ns(seconds: float) -> int:
    return int(seconds * 1_000_000) * 1000
