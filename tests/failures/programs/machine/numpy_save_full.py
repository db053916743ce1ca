import os
import sys

import numpy as np


def save(path, array):
    np.save(path, array)


save(os.path.join(sys.argv[1], "vectors.npy"), np.zeros((2000, 1000)))
