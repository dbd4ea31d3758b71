"""From a run or a model file to probabilities, errors and predictions."""
