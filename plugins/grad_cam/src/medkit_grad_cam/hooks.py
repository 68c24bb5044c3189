"""What this plugin offers."""

from medkit import Component, hookimpl


@hookimpl
def medkit_localizers():
    return [
        Component(
            "grad_cam",
            "medkit_grad_cam.localizer:GradCam",
            "feature maps weighted by the mean gradient of a finding's logit; any network",
            "Selvaraju et al. 2017, arXiv:1610.02391",
        ),
        Component(
            "grad_cam_plus_plus",
            "medkit_grad_cam.localizer:GradCamPlusPlus",
            "Grad-CAM that weighs each position's gradient, for several instances of a finding; any network",
            "Chattopadhay, Sarkar, Howlader, Balasubramanian 2018, arXiv:1710.11063",
        ),
        Component(
            "cam",
            "medkit_grad_cam.localizer:Cam",
            "feature maps weighted by the linear layer after global average pooling",
            "Zhou, Khosla, Lapedriza, Oliva, Torralba 2016, arXiv:1512.04150",
        ),
    ]
