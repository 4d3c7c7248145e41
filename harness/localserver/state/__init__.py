"""What the server keeps on disk: files, jobs with their events and checkpoints, and the models they made."""
