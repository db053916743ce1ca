"""The mistake happens in a worker process."""

from concurrent.futures import ProcessPoolExecutor


def score(text):
    return len(text) / text.count("!")


def main():
    with ProcessPoolExecutor(2) as pool:
        print(list(pool.map(score, ["wow!", "fine"])))


if __name__ == "__main__":
    main()
