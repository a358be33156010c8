"""Your own balancer, in a class of 20 lines: tasks that are further from a goal count more.

    python examples/own_balancer.py

Time: 36 seconds on two CPU cores beside other work, TensorFlow.
Score: losses of the last epoch, on the training rooms: classes 1.766, depth 0.866 m, normals 0.314.
docs/balancing.md has one that weighs gradients.
"""

import keras
from keras import ops

import keras_atinet
from keras_atinet.data import Batches, Rooms

SIZE = (64, 96)


@keras.saving.register_keras_serializable(package="examples")
class TowardsGoals(keras_atinet.balancing.Balancer):
    """`w_k = K L_k / g_k / sum_j L_j / g_j` for goals g, one for each task."""

    def __init__(self, goals, **kwargs):
        super().__init__(**kwargs)
        self.goals = tuple(goals)

    def task_weights(self, losses, present):
        distance = present * ops.stop_gradient(losses) / ops.convert_to_tensor(self.goals)
        return ops.sum(present) * ops.divide_no_nan(distance, ops.sum(distance))

    def get_config(self):
        return {**super().get_config(), "goals": self.goals}


keras.utils.set_random_seed(0)
model = keras_atinet.Split(input_shape=(*SIZE, 3), filters=(8, 8, 16, 16, 16))
model.compile(keras.optimizers.Adam(1e-3), balancer=TowardsGoals([1.0, 0.5, 0.2]))
train = Batches(Rooms(96, SIZE), batch_size=8, tasks=model.tasks, shuffle=True, cache=True)
model.fit(train, epochs=8, verbose=2)
model.save("own-balancer.keras")
print(keras.saving.load_model("own-balancer.keras").balancer.goals)
