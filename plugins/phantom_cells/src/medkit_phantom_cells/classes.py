"""The 28 classes in Kaggle's order, and how often they come, alone and together.

Facts about ``train.csv`` of *Human Protein Atlas Image Classification* (Kaggle 2018): counts, nothing else of it.
"""

from __future__ import annotations

import numpy as np

IMAGES = 31_072
_IMAGES_OF = {
    "Nucleoplasm": (12885, 2414),
    "Nuclear membrane": (1254, 271),
    "Nucleoli": (3621, 808),
    "Nucleoli fibrillar center": (1561, 654),
    "Nuclear speckles": (1858, 1077),
    "Nuclear bodies": (2513, 983),
    "Endoplasmic reticulum": (1008, 622),
    "Golgi apparatus": (2822, 1163),
    "Peroxisomes": (53, 31),
    "Endosomes": (45, 17),
    "Lysosomes": (28, 0),
    "Intermediate filaments": (1093, 601),
    "Actin filaments": (688, 232),
    "Focal adhesion sites": (537, 157),
    "Microtubules": (1066, 484),
    "Microtubule ends": (21, 0),
    "Cytokinetic bridge": (530, 27),
    "Mitotic spindle": (210, 0),
    "Microtubule organizing center": (902, 314),
    "Centrosome": (1482, 522),
    "Lipid droplets": (172, 98),
    "Plasma membrane": (3777, 1058),
    "Cell junctions": (802, 213),
    "Mitochondria": (2965, 1653),
    "Aggresome": (322, 122),
    "Cytosol": (8228, 1470),
    "Cytoplasmic bodies": (328, 134),
    "Rods & rings": (11, 1),
}
"""Images that show a class, and those that show it and nothing else."""
CLASSES = tuple(_IMAGES_OF)
COUNTS, ALONE = np.array(list(_IMAGES_OF.values())).T
TOGETHER = {(9, 10): 690.0, (16, 17): 21.0, (17, 18): 8.0, (14, 17): 6.0, (14, 16): 6.0}
"""Pairs that come together far more often than by chance, and how many times more often."""
LABELS_AN_IMAGE = {1: 15126, 2: 12485, 3: 3160, 4: 301}
"""Images with so many classes; the two with five count as four."""
