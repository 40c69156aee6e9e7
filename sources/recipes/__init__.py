"""How each module, photo set and text set is built from its package."""
