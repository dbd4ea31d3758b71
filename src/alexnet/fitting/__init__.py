"""`alexnet.fit`: from a folder of labeled photos to a tested classifier, in the time given."""
