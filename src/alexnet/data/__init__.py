"""From labeled photos to batches: sources, the store, augmentation, the loader."""
