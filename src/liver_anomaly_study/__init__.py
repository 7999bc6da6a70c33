"""The study: training and comparing the systems of the literature on the same livers, their records, tables and figures."""
