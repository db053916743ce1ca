def plot(values):
    import seaborn_nowhere

    seaborn_nowhere.lineplot(values)


def main():
    values = [1, 4, 9]
    print(values)
    plot(values)


main()
