"""The project's figures: one module each, with ``run() -> DataFrame``, ``plot(df, ax)`` and ``main(argv)``.

``python -m experiments`` checks the ledger and redraws what is out of date; ``python -m experiments.<name>``
runs one of them.
"""

import os

# The matrices are small: threads inside BLAS cost more than they give. This must be said before numpy loads.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
