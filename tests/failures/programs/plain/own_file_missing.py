"""Reads a file that was never made."""

from pathlib import Path


def read_cities(path):
    return [line.strip() for line in path.read_text().splitlines() if line]


def main():
    folder = Path(__file__).parent
    print(read_cities(folder / "cities.csv"))


main()
