"""Tasks that a model can be trained for: classification, localization, detection. `base` has the contract."""
