"""Generated lessons: mathematical text of several kinds, with solutions that are executed before they are written."""
