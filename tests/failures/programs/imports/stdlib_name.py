from collections import OrderedDict, Mapping


def flatten(tree: Mapping) -> OrderedDict:
    return OrderedDict(tree)


print(flatten({"a": 1}))
