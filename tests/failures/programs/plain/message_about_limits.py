"""Words that sound like somebody else's trouble, in the program's own check."""


def check(settings):
    limit = settings["rate limit"]
    if limit <= 0:
        raise ValueError(f"rate limit must be positive, is {limit}: 429 is what the API answers")


check({"rate limit": 0})
