"""Where a study's cells run: in this process, in processes of this machine, on Ray, on Slurm."""
