"""Plan a weekend trip, and have the plan repaired until it meets its requirements.

Two requirements are checked by plain functions and one by the model itself. What is not met is
named in the next prompt (`RepairTemplateStrategy`). The plan is left behind as a file.

    jupyter mellea run examples/trip.py --model demo/scripted -- --city Lisbon --days 2
"""

import argparse

from mellea import start_session
from mellea.stdlib.requirements import req, simple_validate
from mellea.stdlib.sampling import RepairTemplateStrategy

from mellea_jupyter import current_run

MAX_WORDS = 120


def short_enough(text: str) -> tuple[bool, str]:
    """Check the length, and tell the model by how much it missed it."""
    words = len(text.split())
    return words <= MAX_WORDS, f"The plan has {words} words, {words - MAX_WORDS} too many."


def main() -> None:
    """Plan the trip and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--city", default="Lisbon")
    parser.add_argument("--days", type=int, default=2)
    args = parser.parse_args()

    print(f"Planning {args.days} days in {args.city}")
    session = start_session()
    result = session.instruct(
        "Plan {{days}} days in {{city}} for a family with two children.",
        user_variables={"city": args.city, "days": str(args.days)},
        requirements=[
            req(
                f"The plan names {args.city}.",
                validation_fn=simple_validate(
                    lambda text: args.city in text, reason=f"{args.city} is not named."
                ),
            ),
            req(
                f"The plan has at most {MAX_WORDS} words.",
                validation_fn=simple_validate(short_enough),
            ),
            "The plan leaves time for a rest after lunch.",
        ],
        strategy=RepairTemplateStrategy(loop_budget=4),
        return_sampling_results=True,
    )
    outcome = "All requirements met" if result.success else "Requirements not met"
    print(f"{outcome} after {len(result.sample_generations)} attempts:")
    print(result.result)
    (current_run.output_dir / "plan.md").write_text(f"# {args.city}\n\n{result.result}\n")


if __name__ == "__main__":
    main()
