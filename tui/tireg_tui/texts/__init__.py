"""What the screens show, as text: rows, cells, times, durations, curves; no widgets."""
