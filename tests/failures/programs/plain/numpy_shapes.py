import numpy as np


def project(vectors, weights):
    return vectors @ weights


vectors = np.ones((4, 3))
weights = np.ones((4, 2))
print(project(vectors, weights))
