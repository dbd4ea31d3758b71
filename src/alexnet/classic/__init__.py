"""What came before: descriptors, codes and linear classifiers, each by its own paper."""
