from medkit.testing import NetworkConformance

IMAGES = "it gives images (B,C,H,W), whatever K"


class TestAutoEncoder(NetworkConformance):
    component = "autoencoder"
    options = {"encoder": {"component": "resnet18"}, "width": 16}
    in_channels = out_channels = 3
    spatial_size = (32, 64)
    not_applicable = {
        "test_one_image_and_one_class_keep_their_axes": IMAGES,
        "test_images_may_have_another_number_of_channels": IMAGES,
    }
