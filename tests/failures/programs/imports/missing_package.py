"""Needs a package that the environment has not got."""

import pandas_of_the_future as pd


def main():
    print(pd.read_csv("trips.csv"))


main()
