"""Checks of an installation, as data: `fedcli doctor` shows them. Free of TensorFlow in this process.

What imports TensorFlow runs in child processes: an installation that crashes there still gets its report, and
nothing that TensorFlow or TFF print reaches the terminal.
"""
