"""The template that teams start from, and (in `base`) how a demo builds it on a machine without a registry."""
