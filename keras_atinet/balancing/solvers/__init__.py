"""Small problems that balancers solve in every step, as tensors of K tasks."""
