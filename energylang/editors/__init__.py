"""What editors need to know of the language, all of it read off the grammar and the registries."""
