"""What Sidelight costs, beside its peers, in one run: `python -m bench` (README.md here)."""
