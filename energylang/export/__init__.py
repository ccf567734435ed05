"""Energies as files that run without EnergyLang: StableHLO through `jax.export`, and the loader that goes with them."""
