def normalise(weights):
    total = sum(weights)
    scaled = [round(weight / total, 1) for weight in weights]
    assert sum(scaled) == 1.0, f"weights sum to {sum(scaled)}"
    return scaled


print(normalise([1, 1, 1]))
