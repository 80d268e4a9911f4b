"""What is under way while one does something else: this window's own work, and trainings of any process."""
