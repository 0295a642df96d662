"""A chart for every table of `analysis`, in one visual language, light and dark.

Each `plot_<table>` takes the DataFrame that the function of the same name gives, and returns an
Altair chart: shown as it is in a notebook, put to a file by `analysis.plots.save.save`.
"""
