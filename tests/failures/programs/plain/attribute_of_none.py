import re

PATTERN = re.compile(r"total:\s*(\d+)")


def total_of(text):
    return int(PATTERN.search(text).group(1))


def main():
    for text in ("total: 12", "sum: 9"):
        print(total_of(text))


main()
