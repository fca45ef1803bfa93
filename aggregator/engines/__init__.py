"""The house's numbers of a whole book on engines that exist: DuckDB and DataFusion, from the views' own SQL."""
