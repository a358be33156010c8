import keras
import torch


class TrainStep:
    """`train_step` of a `MultiTaskModel` on PyTorch."""

    num_replicas = 1

    def train_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        variables = self.trainable_variables
        parameters = [variable.value for variable in variables]

        y_pred = self(x, training=True)
        losses = self.compute_task_losses(y, y_pred, sample_weight)
        objectives = self.compute_objectives(losses)
        scaled = [self.optimizer.scale_loss(objective) for objective in objectives]

        if variables:
            gradients = [
                torch.autograd.grad(
                    objective,
                    parameters,
                    retain_graph=objective is not scaled[-1],
                    allow_unused=True,
                )
                for objective in scaled
            ]
        with torch.no_grad():
            if variables:
                self.optimizer.apply(list(self.balancer.combine(gradients)), variables)

            self.track_objectives(objectives, x)
            logs = self.compute_metrics(x, y, y_pred, sample_weight)
            return {**logs, **self.weight_logs(losses)}
