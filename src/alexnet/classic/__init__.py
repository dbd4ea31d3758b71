"""What came before the nets: local descriptors, learned codes of them, linear classifiers."""
