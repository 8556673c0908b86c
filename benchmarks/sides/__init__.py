"""What is compared: fedcli and its references, each a process that does the work of a plan."""
