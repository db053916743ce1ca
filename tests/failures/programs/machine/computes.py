def collatz(n):
    steps = 0
    while n != 1:
        n, steps = (n // 2 if n % 2 == 0 else 3 * n + 1), steps + 1
    return steps


def longest(limit):
    return max(range(1, limit), key=collatz)


print(longest(10**9))
