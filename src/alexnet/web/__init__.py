"""The live page: trained nets behind HTTP on this computer, and a page that asks them."""
