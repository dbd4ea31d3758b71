"""From labeled photos to batches: sources, the store, augmentation and the loader."""
