"""What sources of each kind say in the directory: settings, judged where they are written and where they are read."""
