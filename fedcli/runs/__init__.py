"""The run directory: the record that every run leaves, and the only place that knows its file names.

    directory      where each file of a run is; finding runs below a folder
    lock           one process at a time writes a run
    record         run.json: what ran, when, on what, and how it ended
    recorded       keeps run.json true while a run runs, and leaves a run that is refused as it was
    inputs         fingerprints of the data, the first model and third parties' code
    taken_up       the checkpoint that a run goes on from
    deferred       holds signals back while files are written that belong together
    environment    versions, git commit and host, for run.json
    process        which process writes a run, and whether it still lives
    metrics        metrics.csv: one row a round
    participants   participants.csv: who was asked in a round, and what became of each
    checkpoints    checkpoints/: the server state, verified when read
    events, png    events/: TensorBoard
    result         result.json: final and best metrics
    sweep          the folder of a sweep: sweep.json, and how its jobs are asked to stop
    sweep_jobs     what became of a sweep's jobs; sweep.csv
    appended       a file that grows by whole pieces
    atomic         writing a file whole or not at all; full disks and missing rights as errors for people

Nothing here imports TensorFlow, so that `fedcli compare` starts at once. This file imports nothing
either: each command pays only for the modules that it uses.
"""
