"""Jobs on a Slurm cluster, through Slurm's own commands."""
