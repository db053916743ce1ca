import csv
import os


def save(rows, name):
    with open(os.path.join("reports", "2026", name), "w", newline="") as file:
        csv.writer(file).writerows(rows)


save([("city", "nights"), ("Lisbon", 3)], "trips.csv")
