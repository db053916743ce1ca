"""A worker process grows until it is killed; the parent sees a broken pool."""

from concurrent.futures import ProcessPoolExecutor


def embed(count):
    kept = []
    for _ in range(count):
        kept.append(b"x" * (4 << 20))
    return len(kept)


def main():
    with ProcessPoolExecutor(1) as pool:
        print(pool.submit(embed, 1000).result())


if __name__ == "__main__":
    main()
