"""Networks: what subnets and ports are on, and how they travel between hosts."""
