"""The paper's layers that no library has as the paper means them."""
