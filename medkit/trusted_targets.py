"""The names that a bundle may write in ``_target_`` without being trusted: an exact list, never prefixes.

A name is here only if calling it with *any* arguments that a configuration can express merely computes. Left out on
purpose, although bundles elsewhere use them:

- what imports or calls a name given as a string: ``LoadImage``, ``SaveImage`` (reader, writer), ``PatchInferer``
  (merger), ``TorchVision``, ``TorchIO``, ``CuCIM``, ``TorchVisionFCModel``, ``MILModel``, ``FlexibleUNet``,
  ``functools.partial`` and everything of ``builtins``, ``importlib`` and ``monai.bundle``;
- what takes a function to call as its purpose: ``Lambda``, ``LambdaLR``;
- what reads or writes files that the configuration chooses, or downloads: ``torch.load``, ``PersistentDataset``,
  ``CheckpointLoader``, ``CheckpointSaver``, ``MetricsSaver``, the TensorBoard, MLFlow and log-file handlers,
  ``PerceptualLoss``, ``monai.apps``: medkit's own parts do what bundles need of these;
- what prints image data: ``DataStats``.
"""

from __future__ import annotations

import medkit

MONAI = {
    "monai.data": """
        CacheDataset DataLoader Dataset decollate_batch list_data_collate pad_list_data_collate""",
    "monai.engines": """
        GanTrainer SupervisedEvaluator SupervisedTrainer""",
    "monai.handlers": """
        AveragePrecision ConfusionMatrix DecollateBatch EarlyStopHandler from_engine IgniteMetricHandler
        LrScheduleHandler MeanDice MeanIoUHandler PostProcessing ROCAUC StatsHandler ValidationHandler""",
    "monai.inferers": """
        SaliencyInferer SimpleInferer SliceInferer SlidingWindowInferer SlidingWindowInfererAdapt""",
    "monai.losses": """
        AsymmetricUnifiedFocalLoss DeepSupervisionLoss DiceCELoss DiceFocalLoss DiceLoss FocalLoss
        GeneralizedDiceFocalLoss GeneralizedDiceLoss HausdorffDTLoss SSIMLoss TverskyLoss""",
    "monai.metrics": """
        AveragePrecisionMetric ConfusionMatrixMetric DiceMetric FBetaScore GeneralizedDiceScore
        HausdorffDistanceMetric MAEMetric MeanIoU MSEMetric ROCAUCMetric SurfaceDiceMetric SurfaceDistanceMetric""",
    "monai.networks.nets": """
        AttentionUnet BasicUNet BasicUNetPlusPlus DenseNet DenseNet121 DenseNet169 DenseNet201 DynUNet ResNet SegResNet
        SegResNetDS UNet UNETR VNet""",
    "monai.transforms": """
        Activations Activationsd AdjustContrastd AsDiscrete AsDiscreted BorderPadd CastToTyped CenterScaleCropd
        CenterSpatialCropd ClipIntensityPercentilesd Compose ConcatItemsd CopyItemsd CropForegroundd DeleteItemsd
        DivisiblePadd EnsureChannelFirstd EnsureType EnsureTyped Flipd GaussianSmoothd HistogramNormalized Identityd
        Invertd KeepLargestConnectedComponentd MedianSmoothd NormalizeIntensityd OneOf Orientationd RandAdjustContrastd
        RandAffined RandAxisFlipd RandBiasFieldd RandCoarseDropoutd RandCropByLabelClassesd RandCropByPosNegLabeld
        RandFlipd RandGaussianNoised RandGaussianSharpend RandGaussianSmoothd RandGibbsNoised RandGridDistortiond
        RandHistogramShiftd Rand2DElasticd Rand3DElasticd RandRicianNoised RandRotate90d RandRotated
        RandScaleCropd RandScaleIntensityd RandShiftIntensityd RandSimulateLowResolutiond RandSpatialCropd
        RandStdShiftIntensityd RandZoomd RandomOrder RepeatChanneld Resized ResizeWithPadOrCropd Rotate90d Rotated
        ScaleIntensityd ScaleIntensityRanged ScaleIntensityRangePercentilesd SelectItemsd ShiftIntensityd SomeOf
        Spacingd SpatialCropd SpatialPadd SplitDimd SqueezeDimd ThresholdIntensityd ToDeviced ToTensord Transposed
        Zoomd""",
    "monai.utils": """
        set_determinism""",
}
"""Each may be written in full, or bare: MONAI looks a bare name up in its own modules only."""

OTHERS = {
    "ignite.distributed": """
        auto_model device finalize get_local_rank get_rank get_world_size""",
    "ignite.handlers": """
        ProgressBar""",
    "torch": """
        device tensor""",
    "torch.nn": """
        BCELoss BCEWithLogitsLoss CrossEntropyLoss GELU HuberLoss Identity KLDivLoss L1Loss LeakyReLU MSELoss NLLLoss
        PReLU ReLU Sigmoid SmoothL1Loss Softmax""",
    "torch.optim": """
        Adagrad Adam Adamax AdamW ASGD NAdam RAdam RMSprop SGD""",
    "torch.optim.lr_scheduler": """
        ConstantLR CosineAnnealingLR CosineAnnealingWarmRestarts CyclicLR ExponentialLR LinearLR MultiStepLR OneCycleLR
        PolynomialLR ReduceLROnPlateau SequentialLR StepLR""",
    "torch.utils.data": """
        RandomSampler SequentialSampler Subset WeightedRandomSampler""",
}
"""Written in full only."""

TRUSTED_TARGETS = frozenset(
    [f"{module}.{name}" for table in (MONAI, OTHERS) for module, names in table.items() for name in names.split()]
    + [name for names in MONAI.values() for name in names.split()]
    + [f"medkit.{name}" for name in medkit._HOME]
)
