"""Evaluation: probabilities, errors and predictions of a run or a model file."""
