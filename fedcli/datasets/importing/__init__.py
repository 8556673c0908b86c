"""Makes a data set of the user's own: from a table, or from a folder of images or of texts."""
