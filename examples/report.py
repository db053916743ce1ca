"""Leave something behind: progress, files and a structured result.

Files in `current_run.output_dir` become the run's artifacts; `output` declares its result as
JSON. Outside a managed run the same program works, and the files go to a folder `outputs`.

    jupyter mellea run examples/report.py --model demo/scripted
"""

import argparse
import csv

from mellea import start_session
from pydantic import BaseModel

from mellea_jupyter import current_run


class City(BaseModel):
    """A row of the report."""

    name: str
    country: str
    population: int


def main() -> None:
    """Ask about each city, then write the table and declare the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cities", nargs="*", default=["Lisbon", "Bern", "Turku"])
    args = parser.parse_args()

    session = start_session()
    rows = []
    for done, name in enumerate(args.cities, start=1):
        reply = session.instruct(f"Describe the city of {name}.", format=City)
        rows.append(City.model_validate_json(str(reply)).model_copy(update={"name": name}))
        current_run.progress(done, len(args.cities))
        print(f"{done} of {len(args.cities)}: {name}")

    table = current_run.output_dir / "cities.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(City.model_fields))
        writer.writeheader()
        writer.writerows(row.model_dump() for row in rows)
    current_run.output({"cities": [row.model_dump() for row in rows]}, schema_version="1")
    print(f"wrote {table.name}")


if __name__ == "__main__":
    main()
