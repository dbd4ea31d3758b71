"""What a report consists of: each section opens models and stores, and hands arrays to `report.plots`."""
