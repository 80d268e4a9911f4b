"""What `tireg gen` is made of: requests from the command line, one loaded model, results on stdout."""
