def pairs(items):
    iterator = iter(items)
    while True:
        yield next(iterator), next(iterator)


print(list(pairs("abcde")))
