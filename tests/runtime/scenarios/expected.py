"""What each scenario program must be counted as, by program name.

`Expected` holds the counters of ``RunMetrics``. Tokens are not listed: they must equal what the
endpoint itself counted, unless `reads_reply` is False.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

Protocol = Literal["openai", "ollama"]
PROTOCOLS: tuple[Protocol, ...] = ("openai", "ollama")


_OK = "must contain OK"

LADDERS: dict[str, list[str]] = {
    "rejection": [
        f"1 RejectionSamplingStrategy met 5x1 [{_OK}]",
        "1.1 answer: 0- no OK found",
        "1.2 resample: 0- no OK found",
        "1.3 resample: 0+ no OK found *",
    ],
    "repair_template": [
        f"1 RepairTemplateStrategy met 3x1 [{_OK}]",
        "1.1 answer: 0- no OK found",
        "1.2 repair: 0+ no OK found *",
    ],
    "judge": [
        "1 RejectionSamplingStrategy met 2x1 [be polite?]",
        "1.1 answer: 0- be polite (2)",
        "1.2 resample: 0+ be polite (4) *",
    ],
    "multi_turn": [
        f"1 MultiTurnStrategy met 3x1 [{_OK}]",
        "1.1 answer: 0- no OK found",
        "1.2 repair: 0- no OK found",
        "1.3 repair: 0+ no OK found *",
    ],
    "exhausted": [
        f"1 RejectionSamplingStrategy not_met 2x1 [{_OK}]",
        "1.1 answer: 0- no OK found *",
        "1.2 resample: 0- no OK found",
    ],
    # Which chain is first differs; the result is the first sample that was judged.
    "concurrent_chains": [
        f"1 RejectionSamplingStrategy not_met 2x3 [{_OK}]",
        *["?.1 answer: 0- no OK found", "?.2 resample: 0- no OK found"] * 2,
        "?.1 answer: 0- no OK found *",
        "?.2 resample: 0- no OK found",
    ],
    "cancelled_losers": [
        f"1 RejectionSamplingStrategy met 2x3 [{_OK}]",
        *["?.1 answer:"] * 2,
        "?.1 answer: 0+ no OK found *",
    ],
    "majority_vote": [
        "1 MajorityVotingStrategyForMath met 1x4 [] takes 2",
        *(
            line
            for loop in (2, 3, 4, 5)
            for line in (f"{loop} in 1 MajorityVotingStrategyForMath met 1x1 []", "1.1 answer: *")
        ),
    ],
    "sofai": [
        f"1 SOFAISamplingStrategy met 3xNone [{_OK}]",
        "1.1 answer: 0- no OK in try 1",
        "1.2 repair: 0- no OK in try 2",
        "1.3 repair: 0- no OK in try 3",
        "1.4 repair: 0+ no OK in try 4 *",
    ],
    "user_strategy": [
        f"1 Patient met 3x1 [{_OK}] takes 2",
        f"2 in 1 Patient met 3x1 [{_OK}]",
        "1.1 answer: 0- no OK found",
        "1.2 resample: 0+ no OK found *",
    ],
    "budget_forcing": [
        f"1 BudgetForcingSamplingStrategy met 2x1 [{_OK}]",
        "1.1 answer: 0- no OK found",
        "1.2 resample: 0+ no OK found *",
    ],
    "loop_fails": [
        "1 RejectionSamplingStrategy failed 2x1 [never asked]",
        "1.1 answer:",
    ],
}
"""The loops of the programs that have any: each as a line, then its attempts in a line each.

A loop: number, the one around it, strategy, status, budget x concurrency, requirements (`?` where
a model judges), the inner loop whose result it took. An attempt: chain and number, form, verdicts
(index, `+` or `-`, reason, judge calls), `*` when it is the result. With several chains, attempts
are sorted and chains not told apart.
"""


@dataclass(frozen=True)
class Expected:
    """The metrics of one scenario.

    ``requests`` is what the endpoint's log shows; it differs from ``llm_calls`` only where the
    provider's client retries by itself.
    """

    llm_calls: int
    samples_generated: int
    repair_attempts: int = 0
    loop_iterations: int = 0
    loops_exhausted: int = 0
    resamples: int = 0
    judge_calls: int = 0
    failed_calls: int = 0
    cancelled_calls: int = 0
    unfinished_calls: int = 0
    calls_without_usage: int = 0
    requests: int | None = None
    exit_code: int = 0
    reads_reply: bool = True

    def metrics(self) -> dict[str, Any]:
        """The counters under their ``RunMetrics`` names."""
        others = {"requests", "exit_code", "reads_reply"}
        return {name: value for name, value in vars(self).items() if name not in others}


_EVERYWHERE = {
    "rejection": Expected(3, 3, repair_attempts=2, loop_iterations=3, resamples=2),
    "repair_template": Expected(2, 2, repair_attempts=1, loop_iterations=2),
    "judge": Expected(4, 2, repair_attempts=1, loop_iterations=2, resamples=1, judge_calls=2),
    "multi_turn": Expected(3, 3, repair_attempts=2, loop_iterations=3),
    "exhausted": Expected(
        2, 2, repair_attempts=1, loop_iterations=2, resamples=1, loops_exhausted=1
    ),
    "concurrent_chains": Expected(
        6, 6, repair_attempts=3, loop_iterations=6, resamples=3, loops_exhausted=1
    ),
    "cancelled_losers": Expected(3, 1, loop_iterations=3, cancelled_calls=2, calls_without_usage=2),
    "majority_vote": Expected(4, 4, loop_iterations=4),
    "sofai": Expected(4, 4, repair_attempts=3, loop_iterations=4),
    "generative": Expected(1, 1),
    "unparsable": Expected(1, 1, exit_code=1),
    "chat": Expected(2, 2),
    "lazy_gather": Expected(8, 8),
    "never_awaited": Expected(1, 0, unfinished_calls=1, reads_reply=False),
    "react": Expected(2, 2, loop_iterations=2),
    "raw_batch": Expected(1, 3),
    "streaming": Expected(1, 1),
    "streaming_without_usage": Expected(1, 1, calls_without_usage=1),
    "http_500": Expected(1, 0, failed_calls=1, exit_code=1),
    "loop_fails": Expected(1, 1, loop_iterations=1, exit_code=1),
    "user_strategy": Expected(2, 2, repair_attempts=1, loop_iterations=2, resamples=1),
}
EXPECTED: dict[Protocol, dict[str, Expected]] = {
    "openai": {
        **_EVERYWHERE,
        "http_500": replace(_EVERYWHERE["http_500"], requests=3),
    },
    "ollama": {
        **_EVERYWHERE,
        "raw_batch": Expected(3, 3),
        "budget_forcing": Expected(4, 2, repair_attempts=1, loop_iterations=2, resamples=1),
    },
}
"""By protocol and program. Budget forcing exists over Ollama only."""
