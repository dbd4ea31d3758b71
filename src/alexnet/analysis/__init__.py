"""What a trained model has learned: features of its layers, nearest neighbors, saliency maps, projections."""
