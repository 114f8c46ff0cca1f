"""Evidence, graph, paths, joins, trees."""
