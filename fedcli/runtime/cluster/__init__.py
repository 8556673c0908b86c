"""What `runtime=ray` is made of.

    fedcli ──── pipe ──── driver.py ──── Ray ──── worker.py, one a processor
    (runtime.py)          (dispatch.py)           on every node

The server's parts of a round are executed by fedcli itself. The process that drives Ray is another: Ray ends the
process that uses it when a node or the head is lost, prints to its terminal and takes its signals; none of this may
happen to a run. It imports no TensorFlow. A worker imports TensorFlow only, never TFF, and keeps its graphs and
sessions for the whole run.

Apart from the runtimes, because modules here import Ray or TensorFlow, and a config is checked without them.
"""
