"""What is written in C, where passes over memory in torch would cost more than the arithmetic."""
