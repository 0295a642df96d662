"""Who is measured: a GAN alone, as tutorials write it, under stock Ray Tune, and gansweep."""
