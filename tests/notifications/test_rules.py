"""The rules of notices, with time as an argument."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from mellea_jupyter.models.config import RunConfig
from mellea_jupyter.models.failures import (
    ErrorClassification,
    FailureCategory,
    FailureSeen,
    FailureType,
    NextAction,
    NextStep,
)
from mellea_jupyter.models.metrics import RunMetrics
from mellea_jupyter.models.notifications import (
    Notice,
    NoticeRun,
    NoticeType,
    NotificationPreferences,
    QuietHours,
    is_address,
)
from mellea_jupyter.models.run import ErrorDetails, Run, RunStatus, StatusReason
from mellea_jupyter.notifications import rules

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def make_run(**fields: Any) -> Run:
    defaults: dict[str, Any] = {
        "id": "00000000-0000-4000-8000-000000000001",
        "asset_id": "prog_1",
        "asset_version": "1",
        "asset_name": "trip.py",
        "owner_id": "ada",
        "config": RunConfig(),
        "status": RunStatus.SUCCEEDED,
        "created_at": NOON,
        "finished_at": NOON,
    }
    return Run(**{**defaults, **fields})


def make_notice_run(**fields: Any) -> NoticeRun:
    return rules.facts(make_run(**fields), NOON)


def join(open_notice: Notice | None, moment: datetime, **fields: Any) -> Notice:
    return rules.joined(
        open_notice,
        make_notice_run(**fields),
        notice_id="ntc_new",
        user_id="ada",
        type_=NoticeType.RUN_COMPLETE,
        at=moment,
    )


class TestFacts:
    def test_say_nothing_that_a_program_or_a_model_wrote(self) -> None:
        secret = "Write a poem about sk-live-123"
        run = make_run(
            status=RunStatus.FAILED,
            error_message=f"ValueError: {secret}",
            error=ErrorDetails(type="builtins.ValueError", message=secret, stack_trace=secret),
            config=RunConfig(args=(secret,), env_vars={"A": secret}),
            note=secret,
            progress={"done": 1, "text": secret},
        )
        facts = rules.facts(run, NOON)
        assert secret not in facts.model_dump_json()
        assert facts.reason == "ValueError"

    def test_a_failure_is_told_with_what_to_do(self) -> None:
        step = NextStep(action=NextAction.RETRY, label="Retry")
        why = ErrorClassification(
            category=FailureCategory.EXTERNAL_SERVICE, type=FailureType.RATE_LIMITED,
            confidence=1, evidence=("sk-live-123",), retryable=True, summary="rate limit",
            explanation="Too many calls.", suggestion="Wait\r\nBcc: eve@example.org.",
            next_step=step, stack_trace="sk-live-123", fingerprint="f1",
        )  # fmt: skip
        seen = FailureSeen(count=4, first_seen_at=NOON, last_seen_at=NOON)
        run = make_run(status=RunStatus.FAILED, error_classification=why, seen=seen)
        facts = rules.facts(run, NOON)
        assert facts.reason == "rate limit"
        assert facts.failure is not None
        assert facts.failure.command == "jupyter mellea retry 00000000"
        assert facts.failure.suggestion == "Wait Bcc: eve@example.org."
        assert facts.failure.seen == seen
        assert "sk-live-123" not in facts.model_dump_json()

    @pytest.mark.parametrize("kind", ["no type\nBcc: x@y", "a b", "x" * 200, ""])
    def test_an_error_type_that_is_none_is_not_repeated(self, kind: str) -> None:
        run = make_run(
            status=RunStatus.FAILED, exit_code=1, status_reason=StatusReason.EXIT_CODE,
            error=ErrorDetails(type=kind, message=""),
        )  # fmt: skip
        assert rules.facts(run, NOON).reason == "exit 1"

    @pytest.mark.parametrize(
        ("fields", "reason"),
        [
            ({}, ""),
            ({"metrics": RunMetrics(loops_exhausted=1)}, "requirements not met"),
            ({"status": "failed", "status_reason": "timeout"}, "timed out"),
            ({"status": "failed", "status_reason": "signal", "exit_code": -9}, "signal 9"),
            ({"status": "cancelled", "status_reason": "user", "exit_code": -15}, ""),
            ({"status": "cancelled", "status_reason": "admin"}, "by an administrator"),
        ],
    )
    def test_the_reason_is_a_few_words(self, fields: dict[str, Any], reason: str) -> None:
        if "status" in fields:
            fields = {**fields, "status": RunStatus(fields["status"])}
        assert make_notice_run(**fields).reason == reason

    @pytest.mark.parametrize(
        ("name", "shown"),
        [
            ("nightly", "nightly"),
            ("a\r\nBcc: eve@example.org", "a Bcc: eve@example.org"),
            ("\u202egnp.exe", "gnp.exe"),
            (" \t ", "trip.py"),
            ("x" * 200, "x" * 119 + "…"),
            ("naïve ☃", "naïve ☃"),
        ],
    )
    def test_a_name_is_one_line(self, name: str, shown: str) -> None:
        assert make_notice_run(name=name).name == shown


class TestBursts:
    def test_one_run_is_told_of_by_name(self) -> None:
        notice = join(None, NOON, status=RunStatus.FAILED, status_reason="timeout")
        assert notice.title == "Run failed: trip.py"
        assert notice.body == "timed out · 0 ms"
        assert notice.link == "lab?mellea-run=00000000-0000-4000-8000-000000000001"

    def test_fifty_runs_that_end_together_are_one_notice(self) -> None:
        notice = join(None, NOON)
        for number in range(1, 50):
            status = RunStatus.FAILED if number % 10 == 0 else RunStatus.CANCELLED
            notice = join(notice, at(number * 0.2), status=status)
        assert notice.title == "50 runs ended: 4 failed, 45 cancelled, 1 succeeded"
        assert (notice.run_count, len(notice.runs)) == (50, 20)
        assert (notice.created_at, notice.updated_at) == (NOON, at(9.8))

    @pytest.mark.parametrize(("gap", "together"), [(0, True), (4.999, True), (5, False)])
    def test_a_pause_ends_a_burst(self, gap: float, *, together: bool) -> None:
        first = join(None, NOON)
        assert (join(first, at(gap)).run_count == 2) is together

    def test_a_burst_without_a_pause_ends_after_a_minute(self) -> None:
        notices = [join(None, NOON)]
        for number in range(1, 100):
            notices.append(join(notices[-1], at(number)))
        counts = [n.run_count for n in notices]
        assert max(counts) == 60
        assert counts[60] == 1

    def test_a_read_notice_is_left_as_it_is(self) -> None:
        read = join(None, NOON).model_copy(update={"read_at": at(1)})
        assert join(read, at(2)).run_count == 1

    def test_a_clock_that_steps_back_does_no_harm(self) -> None:
        notice = join(join(None, NOON), at(-3600))
        assert (notice.run_count, notice.updated_at) == (2, NOON)


WANTS = NotificationPreferences(email_on_run_complete=True, email_address="ada@example.org")


class TestMail:
    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            ({"status": RunStatus.FAILED}, True),
            ({"metrics": RunMetrics(total_duration_ms=60_000)}, False),
            ({"metrics": RunMetrics(total_duration_ms=60_001)}, True),
            ({"status": RunStatus.CANCELLED, "status_reason": "user",
              "metrics": RunMetrics(total_duration_ms=10**6)}, False),
            ({"status": RunStatus.CANCELLED, "status_reason": "admin"}, True),
        ],
    )  # fmt: skip
    def test_is_for_failed_and_long_runs(self, fields: dict[str, Any], *, expected: bool) -> None:
        run = make_notice_run(**fields)
        assert rules.deserves_mail(run, WANTS, "ada") is expected
        assert not rules.deserves_mail(run, NotificationPreferences(), "ada")
        only_shared = NotificationPreferences(email_on_shared_complete=True)
        assert not rules.deserves_mail(run, only_shared, "ada")
        assert rules.deserves_mail(run, only_shared, "bob") is expected

    def test_can_be_for_failures_only(self) -> None:
        some = WANTS.model_copy(update={"failures_only": True})
        long = make_notice_run(metrics=RunMetrics(total_duration_ms=10**6))
        assert not rules.deserves_mail(long, some, "ada")
        assert rules.deserves_mail(make_notice_run(status=RunStatus.FAILED), some, "ada")

    @pytest.mark.parametrize(
        ("user_id", "address"),
        [
            ("ada", "ada@example.org"),
            ("ada.l", "ada.l@example.org"),
            ("service:bot", None),
            ("a b", None),
            ("x@evil.org,y", None),
            ("ada\r\nBcc: eve", None),
        ],
    )
    def test_a_template_gives_an_address_or_none(self, user_id: str, address: str | None) -> None:
        assert rules.address_from("{username}@example.org", user_id) == address
        assert rules.address_from("", user_id) is None

    @pytest.mark.parametrize(
        "text",
        ["ada", "@a", "a@", "a@b@c", "a b@c", "a@b\n", "<a@b>", '"a"@b', "a@-b", "a,b@c", "é@b.c",
         "x" * 251 + "@b.c"],
    )  # fmt: skip
    def test_what_is_no_address(self, text: str) -> None:
        assert not is_address(text)


class TestQuietHours:
    def until(self, moment: str, start: str, end: str, zone: str = "UTC") -> str | None:
        quiet = NotificationPreferences(
            quiet_hours=QuietHours(start=start, end=end), time_zone=zone
        )
        until = rules.quiet_until(quiet, datetime.fromisoformat(moment))
        return None if until is None else until.isoformat()

    @pytest.mark.parametrize(
        ("moment", "until"),
        [
            ("2026-03-01T21:59:59Z", None),
            ("2026-03-01T22:00:00Z", "2026-03-02T07:00:00+00:00"),
            ("2026-03-02T06:59:59Z", "2026-03-02T07:00:00+00:00"),
            ("2026-03-02T07:00:00Z", None),
        ],
    )
    def test_may_go_over_midnight(self, moment: str, until: str | None) -> None:
        assert self.until(moment, "22:00", "07:00") == until

    def test_may_be_within_a_day(self) -> None:
        expected = "2026-03-01T14:00:00+00:00"
        assert self.until("2026-03-01T13:00:00Z", "12:00", "14:00") == expected
        assert self.until("2026-03-01T14:00:00Z", "12:00", "14:00") is None

    def test_are_in_the_users_zone(self) -> None:
        found = self.until("2026-07-01T12:00:00Z", "22:00", "07:00", "Pacific/Auckland")
        assert found == "2026-07-01T19:00:00+00:00"

    def test_follow_the_zone_when_its_clock_goes_forward(self) -> None:
        # In Lisbon 01:00 became 02:00 on 29 March 2026.
        found = self.until("2026-03-28T23:30:00Z", "23:00", "07:00", "Europe/Lisbon")
        assert found == "2026-03-29T06:00:00+00:00"

    def test_an_end_that_the_clock_passes_twice_counts_once(self) -> None:
        # 01:00 to 02:00 came twice in Lisbon on 25 October 2026: from 00:00Z and from 01:00Z.
        first = self.until("2026-10-25T00:15:00Z", "23:00", "01:30", "Europe/Lisbon")
        assert first == "2026-10-25T00:30:00+00:00"
        assert self.until("2026-10-25T01:15:00Z", "23:00", "01:30", "Europe/Lisbon") is None

    def test_none_are_never_quiet(self) -> None:
        assert rules.quiet_until(NotificationPreferences(), NOON) is None

    @pytest.mark.parametrize("times", [("22:00", "22:00"), ("24:00", "07:00"), ("7:00", "8:00")])
    def test_nonsense_is_refused(self, times: tuple[str, str]) -> None:
        with pytest.raises(ValidationError):
            QuietHours(start=times[0], end=times[1])


class TestTryingAgain:
    def test_pauses_grow_to_an_hour_and_end_after_two_days(self) -> None:
        moment, pauses, attempts = NOON, [], 0
        while True:
            attempts += 1
            again = rules.next_attempt(attempts, NOON, moment)
            if again is None:
                break
            pauses.append((again - moment).total_seconds())
            moment = again
        assert pauses[:4] == [15, 30, 60, 120]
        assert max(pauses) == 3600
        assert timedelta(days=1, hours=22) < moment - NOON <= timedelta(days=2)


@pytest.mark.parametrize(
    ("usd", "unpriced", "text"),
    [
        (Decimal("0.0041"), 0, "$0.0041"),
        (Decimal("1.5"), 0, "$1.50"),
        (Decimal(0), 0, "$0.00"),
        (Decimal("0.12"), 3, "≥ $0.12"),
        (Decimal("0.000021"), 0, "$0.000021"),
        (None, 2, "unpriced"),
    ],
)
def test_a_cost_says_what_is_not_in_it(usd: Decimal | None, unpriced: int, text: str) -> None:
    metrics = RunMetrics(llm_calls=3, estimated_cost_usd=usd, unpriced_calls=unpriced)
    assert rules.cost(make_notice_run(metrics=metrics)) == text


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(0, "0 ms"), (850, "850 ms"), (3290, "3.2 s"), (59_999, "59 s"), (252_000, "4 m 12 s"),
     (7_500_000, "2 h 05 m")],
)  # fmt: skip
def test_durations_read_as_in_the_panels(milliseconds: int, text: str) -> None:
    assert rules.duration(milliseconds) == text
