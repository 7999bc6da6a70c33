"""The study: training and comparing the methods of the literature on the same cases, their records, tables and figures."""
