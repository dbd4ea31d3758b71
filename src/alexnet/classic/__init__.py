"""Image classification before deep networks: local descriptors, learned codes, linear classifiers."""
