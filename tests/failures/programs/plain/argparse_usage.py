import argparse


def parse():
    parser = argparse.ArgumentParser(prog="plan_trip")
    parser.add_argument("--city", required=True)
    parser.add_argument("--nights", type=int, default=3)
    return parser.parse_args()


print(parse())
