import numpy as np

from diffpose_mm.visualization.label_figures import evenly, label_tile


def test_tile_shows_the_person_and_tells_labels_from_none():
    """Broken if what is drawn did not lie on the person, or no label looked like one."""
    image = np.full((200, 300, 3), 255, np.uint8)
    keypoints = np.array([(100, 50), (140, 150), (np.nan, 3)], float)
    labelled = np.array([True, False, False])
    tile = label_tile(image, np.array([80, 40, 160, 160.0]), keypoints, labelled, [(0, 1)], 200)
    assert tile.shape == (200, 200, 3)
    # The longer side of 120 is 0.8 of the tile: scale 200 / 150, the centre in the middle.
    scale = 200 / 150
    places = np.rint((keypoints[:2] - (120, 100)) * scale + 100).astype(int)
    assert tile[places[0, 1], places[0, 0]].tolist() == [40, 120, 0]
    assert tile[places[1, 1], places[1, 0]].tolist() == [255, 255, 255]
    assert (tile[places[1, 1], places[1, 0] + 4] != 255).any()


def test_few_out_of_many_are_spread():
    assert evenly(5, 10) == [0, 1, 2, 3, 4]
    assert evenly(101, 5) == [0, 25, 50, 75, 100]
    assert evenly(1, 5) == [0]
