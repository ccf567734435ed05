"""The language server: what editors show of a model while it is written. Imports neither JAX nor numpy."""
