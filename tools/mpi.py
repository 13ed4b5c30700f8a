"""Starting ranks where tests and benchmarks run."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

# Open MPI asks for more cores than a test machine has, and does not like to be root.
MPI_SETTINGS = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
}
# That of this environment, otherwise the machine's.
MPIEXEC = shutil.which("mpiexec", path=str(Path(sys.executable).parent)) or shutil.which("mpiexec")
