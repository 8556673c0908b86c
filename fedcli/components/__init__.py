"""All components of all config groups, and how a config becomes them."""
