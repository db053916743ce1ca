from concurrent.futures import ThreadPoolExecutor

INDEX = {"a": 1, "b": 2}


def lookup(word):
    return INDEX[word]


def main():
    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(lookup, word) for word in ("a", "b", "c")]
        print([future.result() for future in futures])


main()
