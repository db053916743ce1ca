"""A module of the program fails while it is imported."""

import importlib.util
import sys


def load(name, source):
    spec = importlib.util.spec_from_loader(name, loader=None)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    exec(source, module.__dict__)
    return module


load("tariffs", "RATES = dict(zip(['low', 'high'], [1, 2]))\nBASE = RATES['medium']\n")
