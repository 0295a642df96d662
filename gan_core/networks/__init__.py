"""Plain generator and discriminator modules."""
