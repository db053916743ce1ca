import configparser
from pathlib import Path


def read_rate(path):
    try:
        return float(path.read_text())
    except FileNotFoundError as error:
        raise ValueError(f"no exchange rate in {path.name}: make it with rates.py") from error


print(read_rate(Path("rate.txt")), configparser)
