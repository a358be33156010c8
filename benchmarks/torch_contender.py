"""The plain PyTorch graphs as contenders: eager, channels first, at PyTorch's defaults."""

import time

import torch
import torch_graph
from torch.nn import functional
from workload import random_batch

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def total_loss(predictions, targets):
    """The sum of the task losses, each a mean over its valid pixels."""
    losses = []
    for task, target in targets.items():
        prediction = predictions[task].float()
        if task == "segmentation":
            losses.append(functional.cross_entropy(prediction, target, ignore_index=-1))
            continue
        if task == "depth":
            mask, loss = target > 0, (prediction - target).abs()
        else:
            mask = target.square().sum(dim=1) > 0.25
            loss = 1 - (prediction * functional.normalize(target, dim=1)).sum(dim=1)
        losses.append((loss * mask).sum() / mask.sum().clamp(min=1))
    return sum(losses)


def to_tensors(images, targets):
    """A batch of arrays, channels last, as tensors, channels first."""

    def channels_first(array):
        tensor = torch.from_numpy(array)
        return tensor.permute(0, 3, 1, 2).contiguous() if array.ndim == 4 else tensor.long()

    return channels_first(images), {task: channels_first(y) for task, y in targets.items()}


class Training:
    """A train step: forward, losses, backward, Adam."""

    def __init__(self, workload):
        self.workload = workload

    def prepare(self):
        workload = self.workload
        torch.manual_seed(0)
        torch.set_num_threads(workload.threads)
        torch.set_float32_matmul_precision("high" if workload.dtype == "tf32" else "highest")
        torch.backends.cudnn.allow_tf32 = workload.dtype == "tf32"
        self.model = torch_graph.make(workload.model, workload.filters, workload.phase).to(DEVICE)
        self.batch = to_tensors(*random_batch(workload))
        half = getattr(torch, workload.compute_dtype)
        mixed = half is not torch.float32
        self.autocast = lambda: torch.autocast(DEVICE.type, half if mixed else None, enabled=mixed)
        self.prepare_step()
        return {
            "parameters": sum(p.numel() for p in self.model.parameters() if p.requires_grad),
            "device": torch.cuda.get_device_name() if DEVICE.type == "cuda" else None,
            "versions": [f"PyTorch {torch.__version__}"],
        }

    def prepare_step(self):
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-4)
        self.scaler = torch.amp.GradScaler(
            DEVICE.type, enabled=self.workload.compute_dtype == "float16"
        )

    def step(self):
        start = time.perf_counter()
        images, targets = self.batch
        with self.autocast():
            predictions = self.model(images.to(DEVICE))
        loss = total_loss(predictions, {task: y.to(DEVICE) for task, y in targets.items()})
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        loss.item()  # waits for the device
        return time.perf_counter() - start

    def device_memory(self):
        return torch.cuda.max_memory_allocated() if DEVICE.type == "cuda" else None


class Inference(Training):
    """Predictions of a batch as arrays."""

    def prepare_step(self):
        self.model.eval()

    def step(self):
        start = time.perf_counter()
        with torch.inference_mode(), self.autocast():
            predictions = self.model(self.batch[0].to(DEVICE))
        for prediction in predictions.values():
            prediction.float().cpu().numpy()
        return time.perf_counter() - start
