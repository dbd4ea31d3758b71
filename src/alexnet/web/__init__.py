"""The web demo: trained models behind a JSON API on this computer, and a page that uses it."""
