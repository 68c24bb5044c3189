"""Every pattern is where its protein is, judged by masks that are made from the other channels alone."""

import cv2
import numpy as np
import pytest
from medkit_phantom_cells.classes import CLASSES
from medkit_phantom_cells.image import PATTERNS, draw_image
from scipy.ndimage import binary_dilation, binary_erosion, binary_fill_holes, gaussian_filter, label, sobel

SIZE, EACH = 128, 3
INDEX = {name: number for number, name in enumerate(CLASSES)}


class Seen:
    """An image with one class, and what its red, blue and yellow channels say about where things are."""

    def __init__(self, number, repetition):
        self.scene, planes = draw_image(11, 40 * repetition + number, [number], SIZE)
        self.red, green, self.blue, self.yellow = planes.astype(float)
        smooth = np.rint(gaussian_filter(self.blue, 1)).astype(np.uint8)
        self.nuclei = cv2.threshold(smooth, 0, 255, cv2.THRESH_OTSU)[1] > 0
        both = np.rint(gaussian_filter(np.maximum(self.red, self.yellow), 2)).astype(np.uint8)
        self.cells = (both > 0.5 * cv2.threshold(both, 0, 255, cv2.THRESH_OTSU)[0]) | self.nuclei
        self.inner = binary_erosion(self.nuclei, iterations=2)
        outer = binary_dilation(self.nuclei, np.ones((3, 3)), iterations=2)
        self.rim, self.cytoplasm = outer & ~self.inner, self.cells & ~outer
        self.green = np.maximum(gaussian_filter(green, 0.7) - np.median(green[~self.cells]), 0)

    def mean(self, mask):
        return self.green[mask].mean()

    def bright(self):
        return self.green > 0.5 * np.quantile(self.green, 0.999)


@pytest.fixture(scope="module")
def seen():
    return {name: [Seen(number, n) for n in range(EACH)] for name, number in INDEX.items()}


@pytest.fixture(scope="module")
def median(seen):
    return lambda measure: {name: float(np.median([measure(image) for image in seen[name]])) for name in CLASSES}


def pattern(seen, name, number=0):
    """Return a pattern without optics and noise, and its scene."""
    scene = seen[name][number].scene
    return PATTERNS[INDEX[name]](np.random.default_rng(3), scene), scene


def highest(values):
    return max(values, key=values.get)


def test_proteins_of_the_nucleus_are_in_the_nucleus_and_no_others_are(median):
    inside = median(lambda image: image.mean(image.nuclei) / max(image.mean(image.cytoplasm), 1e-3))
    nuclear = [*CLASSES[:6]]
    assert min(inside[name] for name in nuclear) > 1.9
    assert max(inside[name] for name in CLASSES if name not in nuclear) < 1.4
    hollow = ["Endoplasmic reticulum", "Cytosol", "Peroxisomes", "Mitochondria", "Cytoplasmic bodies"]
    assert max(inside[name] for name in hollow) < 0.6


def test_nuclear_membrane_is_a_rim(median):
    rim = median(lambda image: image.mean(image.rim) / image.mean(image.inner))
    assert rim["Nuclear membrane"] > 2
    assert max(rim[name] for name in ("Nucleoplasm", "Nucleoli", "Nuclear speckles", "Nuclear bodies")) < 0.8


def test_nucleoli_are_where_the_dna_stain_is_weak_and_nucleoplasm_where_it_is_strong(median):
    alike = median(lambda image: np.corrcoef(image.green[image.inner], image.blue[image.inner])[0, 1])
    assert alike["Nucleoli"] < -0.3
    assert alike["Nucleoli fibrillar center"] < -0.2
    assert alike["Nucleoplasm"] > 0.2


def test_microtubules_follow_red_and_reticulum_follows_yellow_best(median):
    red = median(lambda image: np.corrcoef(image.green[image.cytoplasm], image.red[image.cytoplasm])[0, 1])
    yellow = median(lambda image: np.corrcoef(image.green[image.cells], image.yellow[image.cells])[0, 1])
    assert highest(red) == "Microtubules"
    assert red["Microtubules"] > 0.65
    assert sorted(red, key=red.get)[-2] in ("Mitotic spindle", "Microtubule ends")
    assert highest(yellow) == "Endoplasmic reticulum"
    assert yellow["Endoplasmic reticulum"] > 0.55


def test_yellow_is_absent_in_the_nucleus_and_blue_outside_it(seen):
    for image in (images[0] for images in seen.values()):
        assert image.yellow[image.inner].mean() < 0.35 * image.yellow[image.cytoplasm].mean()
        assert image.blue[~image.cells].mean() < 0.2 * image.blue[image.inner].mean()


def test_plasma_membrane_is_at_the_edge_and_junctions_only_between_cells(median, seen):
    def edge(image):
        return image.mean(image.cells & ~binary_erosion(image.cells, iterations=4)) / image.mean(image.cytoplasm)

    edges = median(edge)
    assert highest({name: edges[name] for name in CLASSES[6:]}) == "Plasma membrane"
    between = []
    for name in ("Cell junctions", "Plasma membrane"):
        share = []
        for number in range(EACH):
            drawn, scene = pattern(seen, name, number)
            cells = [
                binary_dilation(scene.owner == cell, iterations=3) for cell in np.unique(scene.owner[scene.owner >= 0])
            ]
            share.append((np.sum(cells, axis=0)[drawn > 0.5] > 1).mean())
        between.append(np.mean(share))
    assert between[0] > 0.97
    assert between[1] < 0.8


def test_vesicles_differ_in_number_and_size(seen):
    counts, areas = {}, {}
    for name in ("Peroxisomes", "Endosomes", "Lysosomes", "Cytoplasmic bodies", "Aggresome", "Centrosome"):
        found = [label(pattern(seen, name, n)[0] > 0.45) for n in range(EACH)]
        counts[name] = sum(count for _, count in found)
        areas[name] = sum((spots > 0).sum() for spots, _ in found) / counts[name]
    order = ["Peroxisomes", "Endosomes", "Lysosomes", "Cytoplasmic bodies", "Aggresome"]
    assert sorted(order, key=counts.get, reverse=True) == order
    assert areas["Peroxisomes"] < areas["Endosomes"] < areas["Lysosomes"] < areas["Aggresome"]
    assert areas["Centrosome"] < 0.5 * areas["Aggresome"]


def test_lipid_droplets_and_rings_are_hollow(seen):
    def hollow(name):
        masks = [pattern(seen, name, n)[0] > 0.4 for n in range(EACH)]
        return sum((binary_fill_holes(mask) & ~mask).sum() for mask in masks) / sum(mask.sum() for mask in masks)

    assert hollow("Lipid droplets") > 0.15
    assert hollow("Rods & rings") > 0.1
    assert max(hollow(name) for name in ("Lysosomes", "Endosomes", "Cytoplasmic bodies")) < 0.05


def test_golgi_lies_on_one_side_of_the_nucleus_and_mitochondria_all_around(seen):
    def one_sided(name):
        lengths = []
        for number in range(EACH):
            drawn, scene = pattern(seen, name, number)
            y, x = np.mgrid[:SIZE, :SIZE]
            for cell in np.flatnonzero((np.abs(scene.cells.centre - 64 * (1 + 1j)) < 45) & ~scene.cells.mitotic):
                away = x + 1j * y - scene.cells.nucleus[cell]
                weight = drawn * (scene.owner == cell)
                lengths.append(abs((weight * away / np.maximum(abs(away), 1)).sum()) / weight.sum())
        return np.median(lengths)

    assert one_sided("Golgi apparatus") > 0.65
    assert one_sided("Mitochondria") < 0.4


def test_adhesions_point_inwards_and_stress_fibres_are_parallel(seen):
    inwards = []
    for number in range(EACH):
        drawn, scene = pattern(seen, "Focal adhesion sites", number)
        spots, count = label(drawn > 0.5)
        for spot in range(1, count + 1):
            rows, columns = np.nonzero(spots == spot)
            if len(rows) >= 6:
                points = columns + 1j * rows
                _, axes = np.linalg.eigh(np.cov(points.real, points.imag))
                way = scene.cells.centre[scene.nearest[rows[0], columns[0]]] - points.mean()
                inwards.append(abs((axes[0, 1] * way.real + axes[1, 1] * way.imag) / abs(way)))
    assert np.mean(inwards) > 0.85  # 0.64 by chance

    def parallel(name):
        drawn, scene = pattern(seen, name)
        gradient = sobel(drawn, 1) + 1j * sobel(drawn, 0)
        tensor = gaussian_filter((gradient**2).real, 6) + 1j * gaussian_filter((gradient**2).imag, 6)
        return (abs(tensor) / np.maximum(gaussian_filter(abs(gradient) ** 2, 6), 1e-6))[scene.inside > 0.5].mean()

    assert parallel("Actin filaments") > 0.55 > 0.4 > parallel("Intermediate filaments")


def test_bridge_lies_between_two_daughters_and_spindle_around_a_bright_plate(seen):
    for number in range(EACH):
        drawn, scene = pattern(seen, "Cytokinetic bridge", number)
        row, column = np.unravel_index(drawn.argmax(), drawn.shape)
        one, other = scene.cells.centre[:2]
        assert abs(column + 1j * row - (one + other) / 2) < 0.2 * abs(one - other)
        drawn, scene = pattern(seen, "Mitotic spindle", number)
        (cell,) = np.flatnonzero(scene.cells.mitotic)
        rows, columns = np.nonzero(drawn > 0.5)
        assert np.abs(columns + 1j * rows - scene.cells.centre[cell]).max() < 0.75 * scene.cells.radius[cell]


def test_centrosome_is_a_point_beside_each_nucleus_and_the_organizing_center_is_larger(seen):
    areas = {}
    for name in ("Centrosome", "Microtubule organizing center"):
        drawn, scene = pattern(seen, name)
        _, count = label(binary_dilation(drawn > 0.5))
        assert 0.4 * len(scene.cells.centre) <= count <= 1.5 * len(scene.cells.centre)
        areas[name] = (drawn > 0.5).sum() / count
        assert drawn[seen[name][0].inner].mean() < 0.15
    assert areas["Microtubule organizing center"] > 1.8 * areas["Centrosome"]


def test_an_image_with_two_classes_shows_both():
    for number in range(3):
        _, planes = draw_image(5, number, [INDEX["Nucleoplasm"], INDEX["Plasma membrane"]], SIZE)
        scene, again = draw_image(5, number, [INDEX["Nucleoplasm"], INDEX["Plasma membrane"]], SIZE)
        np.testing.assert_array_equal(planes, again)
        green, middle = planes[1].astype(float), (scene.edge > 5) & (scene.beyond > 4)
        assert green[scene.nuclei > 0.9].mean() > 1.5 * green[middle].mean()
        assert green[(scene.edge > 0) & (scene.edge < 2)].mean() > 1.2 * green[middle].mean()
