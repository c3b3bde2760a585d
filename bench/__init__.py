"""What Sidelight costs, beside its peers, in one run: `python -m bench` (README.md here)."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as in Sidelight's processes; read when numpy is first imported
