"""What people enter, as models: pages, JSON API and CSV import check the same ones (checking.py)."""
