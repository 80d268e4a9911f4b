"""The terminal UI: browse, train and compose learned words. A front end only: every act is a function of the core."""
