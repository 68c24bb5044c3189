"""One thread a test process: tests run side by side, and small tensors gain nothing from more."""

import os

import torch

torch.set_num_threads(int(os.environ.get("MEDKIT_TEST_THREADS", "1")))
