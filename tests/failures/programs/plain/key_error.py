"""Counts answers per question; one row lacks a column."""

ROWS = [
    {"question": "q1", "answer": "yes"},
    {"question": "q2", "answer": "no"},
    {"question": "q3"},
]


def tally(rows):
    counts = {}
    for row in rows:
        key = (row["question"], row["answer"])
        counts[key] = counts.get(key, 0) + 1
    return counts


def main():
    print(f"{len(ROWS)} rows")
    print(tally(ROWS))


if __name__ == "__main__":
    main()
