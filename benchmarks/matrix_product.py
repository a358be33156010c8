"""The machine's own peak: products of large square matrices."""

import time

SECONDS = 1.0  # that a step should take


class MatrixProduct:
    """Products of PyTorch, or of NumPy where PyTorch is not installed."""

    def __init__(self, workload):
        self.workload = workload
        try:
            import torch
        except ModuleNotFoundError:
            import numpy as torch
        self.library = torch

    def prepare(self):
        library = self.library
        if library.__name__ == "numpy":
            self.size, self.wait = 4096, lambda: None
            self.x = library.random.default_rng(0).random((self.size,) * 2, "float32")
            dtype = "float32"
        else:
            on_gpu = library.cuda.is_available()
            self.size = 8192 if on_gpu else 4096
            self.wait = library.cuda.synchronize if on_gpu else lambda: None
            library.set_num_threads(self.workload.threads)
            library.set_float32_matmul_precision(
                "high" if self.workload.dtype == "tf32" else "highest"
            )
            dtype = self.workload.compute_dtype
            self.x = library.rand(self.size, self.size, device="cuda" if on_gpu else "cpu")
            self.x = self.x.to(getattr(library, dtype))
        self.products = 1
        self._seconds()
        self.products = max(1, round(SECONDS / self._seconds()))
        product = f"{self.size} x {self.size}, {dtype}, {library.__name__} {library.__version__}"
        return {"versions": [f"matrix products {product}"]}

    def step(self):
        return self._seconds()

    def flops(self):
        return 2 * self.size**3 * self.products

    def _seconds(self):
        start = time.perf_counter()
        for _ in range(self.products):
            self.library.matmul(self.x, self.x)
        self.wait()
        return time.perf_counter() - start
