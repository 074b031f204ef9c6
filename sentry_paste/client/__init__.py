"""From settings to clients of the SDK."""
