"""One thread a test process: they run side by side, and small tensors gain nothing from more; examples are seeded."""

import os
import signal

import torch
from hypothesis import settings

settings.register_profile("seeded", derandomize=True)
settings.load_profile("seeded")

torch.set_num_threads(int(os.environ.get("MEDKIT_TEST_THREADS", "1")))

# A shell's background job ignores interrupts, and so would every process that a test starts and interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
