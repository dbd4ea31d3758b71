"""The sections of a report: each opens models and stores, and passes arrays to `report.plots`."""
