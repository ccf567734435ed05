"""The models of `benchmarks.against_peers`, in EnergyLang and in the languages of its peers."""
