"""The house's numbers of a whole book on engines that exist: DuckDB, DataFusion and Spark, from the views' own SQL."""
