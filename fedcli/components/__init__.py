"""All components of all config groups, and the step from a plain config to components."""
