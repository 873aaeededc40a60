"""Stage `status`: what is known of each document, and the public fact that it is searchable or gone."""
