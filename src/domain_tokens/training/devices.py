"""Device speeds: the vendors' peak figures, and the utilization to assume before a run has measured its own."""

# Dense bf16 peak of one device in FLOP/s, from the vendors' data sheets.
PEAK_FLOPS = {"A100": 312e12, "H100": 989e12, "H200": 989e12, "B200": 2250e12, "L40S": 362e12, "4090": 165e12}

# Model FLOPs utilization of a GPU. Measured with GPT-2 124M on an H100 (docs/PERFORMANCE.md): 0.167 to 0.181 in
# pretraining, in bf16 and without torch.compile; 0.0051 with 1,024 answers at a time in fp32, 0.0031 in bf16.
TRAINING_MFU = 0.17
SAMPLING_MFU = 0.005

# One CPU core in fp32, in FLOP/s: two cores train the demo's model at 2,400 tokens/s and sample 480.
CPU_TRAINING_FLOPS = 50e9
CPU_SAMPLING_FLOPS = 3.3e9
