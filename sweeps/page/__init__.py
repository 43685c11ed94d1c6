"""The report page: one sweep's results as one HTML file that needs nothing else.

`page` puts together what the other modules read, tabulate and draw; `render` writes it as HTML.
Numbers come from `sweeps.results` by way of the modules that make the sweeps' own tables.
"""
