"""Files that ship as they are: starter jobs, pod scripts, pages."""
