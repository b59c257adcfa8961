"""What an intervention does to texts: scored on labelled sentences, and shown on a page."""
