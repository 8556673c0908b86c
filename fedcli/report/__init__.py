"""From many runs to a finding: loads run folders, groups, compares and shows them. Free of TensorFlow and NumPy.

`load` reads, `group`, `statistics`, `pareto`, `curves` and `comparison` compute, `table`, `terminal`, `svg`, `png`,
`html` and `document` show.
"""
