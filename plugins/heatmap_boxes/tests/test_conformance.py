from medkit.testing import PostprocessorConformance


class TestHeatmapBoxes(PostprocessorConformance):
    component = "heatmap_boxes"
