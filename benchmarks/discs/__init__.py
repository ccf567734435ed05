"""The targets and protocol of DISCS (Goshvadi et al., NeurIPS 2023), measured as they should be."""
