"""GAN training for many members at once, in PyTorch alone. Submodules load when they are used."""
