"""Child processes: `tireg` and the Hub's worker do there what needs torch or may stall."""
