"""From the gradients of the tasks to one gradient."""

from keras_atinet.balancing.gradient_based.gradient_balancer import add, gram_matrix


def combine_gradients(balancer, gradients, tasks_by_variable, losses, present, scale):
    """Balances the gradients that several tasks share; the others stay those of their task.

    Args:
        balancer: `GradientBalancer`.
        gradients: list over the tasks, and perhaps one more for losses added by layers, of lists
            of tensors (or `None`): with respect to the shared features, then to the variables of
            the branches.
        tasks_by_variable: list over these variables of lists of task indices.
        losses, present: as for `GradientBalancer.gradient_weights`.
        scale: scalar, the factor that the losses were multiplied by.

    Returns:
        List of tensors, as long as each of `gradients`; the weights `(K,)`; the inner products of
        the tasks' gradients `(K, K)`.
    """
    num_tasks = losses.shape[0]
    columns = list(zip(*gradients, strict=True))
    num_features = len(columns) - len(tasks_by_variable)
    users = [list(range(num_tasks))] * num_features + tasks_by_variable
    shared = [index for index, tasks in enumerate(users) if len(tasks) > 1]

    shared_gradients = [[row[index] for index in shared] for row in gradients[:num_tasks]]
    gram = gram_matrix(shared_gradients) / scale / scale
    weights = balancer.gradient_weights(gram, losses, present)
    balanced = dict(zip(shared, balancer.combine(shared_gradients, weights), strict=True))

    combined = []
    for index, (column, tasks) in enumerate(zip(columns, users, strict=True)):
        added = column[num_tasks:]
        own = [column[k] for k in tasks] if len(tasks) == 1 else [balanced.get(index)]
        combined.append(add([*own, *added]))
    return combined, weights, gram
