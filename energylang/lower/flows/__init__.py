"""Layers of flows: one class a layer, each a `Bijection`; `chain` puts those of a flow together."""
