"""Wrong arguments, noticed inside the standard library."""

import statistics


def summarise(samples):
    return {"mean": statistics.mean(samples), "stdev": statistics.stdev(samples)}


def load():
    return ["12", "14", None, "9"]


print(summarise(load()))
