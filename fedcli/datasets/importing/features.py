"""What the features of imported examples are called."""

#: The input of each kind of data: as in TFF's published data sets, where one has the like.
INPUT_FEATURES = {"image": "pixels", "table": "features", "text": "snippets"}
