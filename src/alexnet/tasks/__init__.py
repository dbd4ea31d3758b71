"""What a model is trained to do: classify, localize or detect; one file each. `base` has the contract."""
