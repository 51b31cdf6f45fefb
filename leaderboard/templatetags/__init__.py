"""What templates may call: `show` puts facts into words, `draw` draws dots and intervals, `chart` scores over time."""
