"""What balancers share: arithmetic of losses, random orders, small problems of K tasks."""
