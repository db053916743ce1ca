def main():
    readings = [3.1, 2.9, 3.3]
    average = sum(readings) / len(readings)
    print(f"{averge:.2f}")


main()
